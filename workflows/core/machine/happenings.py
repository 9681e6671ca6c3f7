"""What can happen to a run. No happening names a kind of step: what it means is decided by the step's kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from erip.foundation.values import value
from workflows.core.machine.items import ItemResult

#: the item of a step that is done once
NO_ITEM = -1


class StepHappening:
    """Something that happened to a step, or to one of its items."""

    __slots__ = ()

    step: str
    item: int


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run was accepted."""


@value
class StepTaken(StepHappening):
    """The reporter went straight on to a step that its own report made ready (Note [Strides] in `executor`)."""

    step: str
    item: int = NO_ITEM


@value
class StepSucceeded(StepHappening):
    step: str
    attempt: int
    output: Any
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True)
class StepFailed(StepHappening):
    """An attempt failed. jitter: in [0, 1), drawn by the caller. certain: False where the effect may have happened.

    trace: what is recorded with it to explain it, and decides nothing.
    """

    step: str
    attempt: int
    error: Mapping[str, Any]
    retryable: bool
    jitter: float
    retry_after: float | None = None
    certain: bool = True
    item: int = NO_ITEM
    trace: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class StepLost(StepHappening):
    """The worker that ran this attempt is gone."""

    step: str
    attempt: int
    #: how many lost attempts a step may have
    max_lost: int
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True)
class StepReturned(StepHappening):
    """A worker hands an attempt back that it did not begin, or gave up cleanly (shutdown)."""

    step: str
    attempt: int
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True)
class StepDue(StepHappening):
    """The moment that the step waits for has come."""

    step: str
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True)
class StepResolved(StepHappening):
    """A person says how an UNKNOWN step ended: "succeeded", "failed" or "retry"."""

    step: str
    outcome: str
    output: Any
    by: str
    note: str = ""
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True)
class Signal:
    """A message that somebody sends to a run."""

    #: made by the sender's request; a later attempt finds the signal by it
    id: str
    name: str
    payload: Any
    #: the principal who sent it
    by: str


@dataclass(frozen=True, slots=True)
class StepSignalled(StepHappening):
    """The step is given a signal that it waits for."""

    step: str
    signal: Signal
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True)
class StepAnswered(StepHappening):
    """People have decided what the step asks them. votes: as they are recorded with the step."""

    step: str
    approved: bool
    votes: Sequence[Mapping[str, Any]]
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True)
class ItemsEnded(StepHappening):
    """Every item of a step has ended. results: of all items, in order; None if their outputs are too large."""

    step: str
    results: tuple[ItemResult, ...] | None
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True)
class RunCancelled:
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunSignalled:
    """A signal was sent to the run. Discarded if no step waits for it; the caller then keeps it."""

    signal: Signal


@dataclass(frozen=True, slots=True)
class RunResumed:
    """The run was paused, and goes on: its steps are READY or WAITING again. What came meanwhile is taken up: signals
    that were kept, and places for items that became free."""

    #: seconds for which its clock stood still
    moved: float = 0.0


@dataclass(frozen=True, slots=True)
class RunTimedOut:
    """The run's deadline has passed."""


Happening = RunStarted | StepHappening | RunCancelled | RunSignalled | RunResumed | RunTimedOut


# Note [Fencing]
# A claim raises the step's `attempt`, and the number is the claim's token. A report on a step names the attempt that
# its worker was given. If a worker was taken for dead and its step was claimed anew, the row is at a later attempt, and
# the former owner's report no longer counts: it is discarded, whatever it says.
#
# One exception: if PostgreSQL crashed and has forgotten the claim of a step that may be repeated (Note [Claims that may
# be lost] in `store/claims`), the next claim gives the same number. Two bodies then run as the same attempt, and the
# first report of the two counts. So the attempt is no key for the outside world: `ctx.idempotency_key` is the only one.
