"""What can go wrong, as facts. The docstring is the message and says what to do; the API maps the tree once."""

from collections.abc import Sequence

from erip.foundation.errors import EripError


class WorkflowsError(EripError):
    """Something about workflows went wrong."""

    code = "workflows_error"


class UnknownWorkflow(WorkflowsError):
    """There is no workflow of that name. `GET /api/v1/workflows` lists those there are."""

    code = "unknown_workflow"
    status = 404


class UnknownVersion(WorkflowsError):
    """That workflow has no such version."""

    code = "unknown_version"
    status = 404


class UnknownRun(WorkflowsError):
    """There is no run of that id."""

    code = "unknown_run"
    status = 404


class UnknownSpace(WorkflowsError):
    """There is no space of that name. `manage.py access space NAME` makes one."""

    code = "unknown_space"
    status = 404


class UnknownStep(WorkflowsError):
    """There is no step of that name."""

    code = "unknown_step"
    status = 404


class UnknownLane(WorkflowsError):
    """There is no lane of that name. Choose one of critical, high, standard, bulk."""

    code = "unknown_lane"
    status = 422


class InvalidInput(WorkflowsError):
    """The input is not what the workflow asks for. Fix what `faults` names, and send it again."""

    code = "invalid_input"
    status = 422


class DefinitionInvalid(WorkflowsError):
    """The definition is not valid. Fix what `faults` names, and publish it again."""

    code = "definition_invalid"
    status = 422


class NotYetReadable(WorkflowsError):
    """Living workers or leaders of an earlier release cannot read this definition. Publish it once the upgrade is
    done."""

    code = "not_yet_readable"
    status = 409
    retry_after = 10

    def __init__(self, living: Sequence[str]) -> None:
        """living: who they are, in words."""
        super().__init__(
            f"Living processes of an earlier release cannot read this definition: {_first(living)}. "
            "Publish it once the upgrade is done."
        )


class NameMismatch(WorkflowsError):
    """The definition's `name` is not the name that it is published under. Make them the same."""

    code = "name_mismatch"
    status = 422


class IdempotencyMismatch(WorkflowsError):
    """That Idempotency-Key was used with another request. Use a new key for a new request."""

    code = "idempotency_mismatch"
    status = 422


class RequestUnderWay(WorkflowsError):
    """Another request with that Idempotency-Key is under way. Send yours again after `retry_after` seconds."""

    code = "request_under_way"
    status = 409
    retry_after = 2


class LaneFull(WorkflowsError):
    """More waits in this lane than can be served in time. Send the same request again after `retry_after` seconds."""

    code = "lane_full"
    status = 429

    def __init__(self, lane: str, room: int, retry_after: int) -> None:
        """room: runs that fitted in now. retry_after: seconds."""
        fewer = f", or up to {room} runs now" if room else ""
        super().__init__(
            f'More waits for lane "{lane}" than can be served in time. '
            f"Send the same request again after {retry_after} s{fewer}."
        )
        self.lane = lane
        self.room = room
        self.retry_after = retry_after


class RunAlreadyEnded(WorkflowsError):
    """The run has ended already, and nothing can change that. Start a new one."""

    code = "run_already_ended"
    status = 409


class RunNotEnded(WorkflowsError):
    """The run has not ended yet. Wait for its end or cancel it before running it again."""

    code = "run_not_ended"
    status = 409


class RunAlreadyPaused(WorkflowsError):
    """The run is paused already."""

    code = "run_already_paused"
    status = 409


class RunNotPaused(WorkflowsError):
    """The run is not paused."""

    code = "run_not_paused"
    status = 409


class RunHeld(WorkflowsError):
    """The run's workflow or lane is paused. Resume that: its runs go on with it."""

    code = "run_held"
    status = 409

    def __init__(self, kind: str = "workflow", name: str = "") -> None:
        super().__init__(f"The {kind} {name} of the run is paused. Resume the {kind}: its runs go on with it.")


class AlreadyHeld(WorkflowsError):
    """The workflow or lane is paused already."""

    code = "already_paused"
    status = 409

    def __init__(self, kind: str = "workflow", name: str = "") -> None:
        super().__init__(f"The {kind} {name} is paused already.")


class NotHeld(WorkflowsError):
    """The workflow or lane is not paused. Runs that were paused by themselves are resumed by themselves."""

    code = "not_paused"
    status = 409

    def __init__(self, kind: str = "workflow", name: str = "") -> None:
        super().__init__(
            f"The {kind} {name} is not paused. Runs that were paused by themselves are resumed by themselves."
        )


class NotYetPossible(WorkflowsError):
    """Living workers or leaders of an earlier release cannot handle a paused run. Pause it once the upgrade is done."""

    code = "not_yet_possible"
    status = 409
    retry_after = 10

    def __init__(self, living: Sequence[str]) -> None:
        """living: who they are, in words."""
        super().__init__(
            f"Living processes of an earlier release cannot handle a paused run: {_first(living)}. "
            "Try again once the upgrade is done."
        )


class RunAlreadyRetried(WorkflowsError):
    """The run has been retried already. Retry its retry instead, or start a new run."""

    code = "run_already_retried"
    status = 409

    def __init__(self, retried_as: str) -> None:
        """retried_as: the id of its retry."""
        super().__init__(f"The run has been retried already, as {retried_as}. Retry that one, or start a new run.")
        self.members = {"retried_as": retried_as}


class UnknownBatch(WorkflowsError):
    """There is no batch of that id. Batches are kept for 30 days after their end."""

    code = "unknown_batch"
    status = 404


class CountDiffers(WorkflowsError):
    """The filter does not match as many runs as `expected_count` says. Look at them again; nothing was done."""

    code = "count_differs"
    status = 409

    def __init__(self, expected: int, count: int) -> None:
        """expected, count: runs that were expected, and that there are."""
        super().__init__(f"The filter matches {count:,} runs, not {expected:,}. Look at them again; nothing was done.")
        self.members = {"count": count}


class BatchTooLarge(WorkflowsError):
    """The filter matches more runs than one batch may have. Narrow it; nothing was done."""

    code = "batch_too_large"
    status = 409

    def __init__(self, most: int) -> None:
        super().__init__(
            f"The filter matches more than {most:,} runs, which is as many as one batch may have. Narrow it; nothing "
            "was done."
        )


class FilterTooSlow(WorkflowsError):
    """Looking for runs with this filter takes too long. Add a workflow, a business key, an error code or a time."""

    code = "filter_too_slow"
    status = 422


class SignalNotWanted(WorkflowsError):
    """No step of the run can take that signal: each that waits for it has ended, or has one already."""

    code = "signal_not_wanted"
    status = 409


class UnreadableHere(WorkflowsError):
    """A newer release published the definition of the run. Try again once the upgrade is done."""

    code = "unreadable_here"
    status = 409


class AmbiguousRun(WorkflowsError):
    """Several runs of the workflow are under way for that business key. Send the signal to one of them by its id."""

    code = "ambiguous_run"
    status = 409

    def __init__(self, runs: Sequence[str] = ()) -> None:
        self.runs = tuple(runs)
        super().__init__(
            "Several runs of the workflow are under way for that business key. Send the signal to one of them by its "
            f"id: {', '.join(runs)}."
        )


class StepNotUnknown(WorkflowsError):
    """The step does not wait for a person: its outcome is known, or still to come."""

    code = "step_not_unknown"
    status = 409


class StepRefused(TypeError):
    """A function was declared as a step and cannot be one: one line with the place and every fault.

    Raised while the steps are imported, so that a process with such a step does not start.
    """

    #: It quotes what is written in the code, and nothing of a user's.
    says_no_data = True

    def __init__(self, place: str, name: object, faults: Sequence[str]) -> None:
        """place: `file:line`."""
        named = f' "{name}"' if isinstance(name, str) and name else ""
        super().__init__(" ".join(f"{place}: step{named}: {'; '.join(faults)}".split()))
        self.place = place
        self.faults = list(faults)


class StepError(Exception):
    """Raised by a step's body: this attempt failed. Tried again as the step's retry policy says.

    code: a slug for programs. retryable: False ends the retries. retry_after: seconds to rest at the least.
    """

    def __init__(
        self, message: str, *, code: str = "step_error", retryable: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after


class PermanentStepError(StepError):
    """Raised by a step's body: trying again cannot help."""

    def __init__(self, message: str, *, code: str = "step_error") -> None:
        super().__init__(message, code=code, retryable=False)


def _first(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
