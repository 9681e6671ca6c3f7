"""Decides what happens next in a run: (graph, snapshot, what happened, now) → Plan. Pure.

Called under the run's lock by the store, which then writes many plans, of many runs, in sets. It knows no clock and no
randomness: `now` and each failure's `jitter` are handed in, so that a stored history decides the same plan again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from workflows.core.expressions import ExpressionError
from workflows.core.graph import Graph, StepNode
from workflows.core.states import RunState, StepState

#: the item of a step that is no fan-out
NO_ITEM = -1
#: (step id, item)
StepKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as the machine sees it."""

    id: str
    workflow: str
    business_key: str | None
    lane: str
    state: RunState
    input: Any
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StepView:
    """A step that has a row. A step without one is PENDING."""

    state: StepState
    #: claims so far; the fencing token of the running one
    attempt: int = 0
    #: attempts that ended in a failure
    failures: int = 0
    #: attempts whose worker was lost
    lost: int = 0
    output: Any = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    run: RunView
    steps: Mapping[StepKey, StepView]


# --- what can happen --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run was accepted."""


@dataclass(frozen=True, slots=True)
class StepTaken:
    """The reporter went on by itself with a step that its own report made ready (Note [Strides] in `executor`)."""

    step: str
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True)
class StepSucceeded:
    step: str
    attempt: int
    output: Any
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True)
class StepFailed:
    """An attempt failed. jitter: in [0, 1), drawn by the caller. certain: False where the effect may have happened."""

    step: str
    attempt: int
    error: Mapping[str, Any]
    retryable: bool
    jitter: float
    retry_after: float | None = None
    certain: bool = True
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True)
class StepLost:
    """The worker that ran this attempt is gone."""

    step: str
    attempt: int
    #: how many lost attempts a step may have
    max_lost: int
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True)
class StepReturned:
    """A worker hands an attempt back that it did not begin, or gave up cleanly (shutdown)."""

    step: str
    attempt: int
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True)
class StepDue:
    """The rest before the next attempt is over."""

    step: str
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True)
class StepResolved:
    """A person says how an UNKNOWN step ended: "succeeded", "failed" or "retry"."""

    step: str
    outcome: str
    output: Any
    by: str
    note: str = ""
    item: int = NO_ITEM


@dataclass(frozen=True, slots=True)
class RunCancelled:
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunTimedOut:
    """The run's deadline has passed."""


Happening = (
    RunStarted
    | StepTaken
    | StepSucceeded
    | StepFailed
    | StepLost
    | StepReturned
    | StepDue
    | StepResolved
    | RunCancelled
    | RunTimedOut
)


# --- what is to be written --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StepChange:
    """A step's row as it is to be. `input` counts only where `new`; the rest is the row's whole state."""

    step: str
    item: int
    new: bool
    state: StepState
    attempt: int
    failures: int
    lost: int
    input: Any = None
    output: Any = None
    error: Mapping[str, Any] | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunChange:
    state: RunState
    output: Any = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What the rows cannot tell by themselves; the ordinary life of steps is read from their rows."""

    type: str
    step: str | None = None
    item: int = NO_ITEM
    attempt: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    steps: tuple[StepChange, ...] = ()
    run: RunChange | None = None
    #: steps that became READY, in the order of the graph
    ready: tuple[StepKey, ...] = ()
    events: tuple[Event, ...] = ()
    #: happenings that no longer count (a former owner's result, a run that has ended)
    discarded: tuple[Happening, ...] = ()


def decide(graph: Graph, snapshot: Snapshot, happenings: Sequence[Happening], now: datetime) -> Plan:
    """What follows from `happenings`, in their order. Never raises for what users wrote: that becomes a failure."""
    deciding = Deciding(graph, snapshot, now)
    for happening in happenings:
        deciding.take(happening)
    return deciding.plan()


class Deciding:
    """One decision in the making: a copy of the snapshot that takes happenings in turn."""

    def __init__(self, graph: Graph, snapshot: Snapshot, now: datetime) -> None:
        self.graph = graph
        self.now = now
        self.run = snapshot.run
        self.state = snapshot.run.state
        self.known = snapshot.steps
        self.steps: dict[StepKey, StepView] = dict(snapshot.steps)
        self.changes: dict[StepKey, StepChange] = {}
        self.run_change: RunChange | None = None
        self.events: list[Event] = []
        self.discarded: list[Happening] = []
        self.context: dict[str, Any] | None = None
        #: essential steps that failed for good, in the order in which they did
        self.failed = [step for (step, _), view in snapshot.steps.items() if self._fails(step, view)]

    def take(self, happening: Happening) -> None:
        """This happened next."""
        self._happened(happening)
        self._advance()

    def ready(self) -> list[StepChange]:
        """The steps that have become READY so far."""
        return [change for change in self.changes.values() if change.state is StepState.READY]

    def _happened(self, happening: Happening) -> None:
        match happening:
            case RunStarted():
                pass
            case StepTaken():
                self._taken(happening)
            case StepSucceeded():
                self._succeeded(happening)
            case StepFailed():
                self._failed(happening)
            case StepLost():
                self._lost(happening)
            case StepReturned():
                if view := self._running(happening):
                    self._set(happening.step, happening.item, replace(view, state=StepState.READY))
            case StepDue():
                view = self.steps.get((happening.step, happening.item))
                if view is None or view.state is not StepState.WAITING:
                    self.discarded.append(happening)
                else:
                    self._set(happening.step, happening.item, replace(view, state=StepState.READY))
            case StepResolved():
                self._resolved(happening)
            case RunCancelled():
                detail = {"by": happening.by, "reason": happening.reason}
                self._stop(happening, RunState.CANCELLED, "run.cancelled", "the run was cancelled", detail)
            case RunTimedOut():
                self._stop(happening, RunState.TIMED_OUT, "run.timed_out", "the run missed its deadline", {})

    # --- one step ---

    def _running(self, happening: StepSucceeded | StepFailed | StepLost | StepReturned) -> StepView | None:
        """The step, if this attempt still owns it; else the happening is discarded (see Note [Fencing])."""
        view = self.steps.get((happening.step, happening.item))
        if view is None or view.state is not StepState.RUNNING or view.attempt != happening.attempt:
            self.discarded.append(happening)
            return None
        return view

    def _taken(self, happening: StepTaken) -> None:
        """Only a step that this decision made ready: of any other the reporter cannot know that nobody has it."""
        key = (happening.step, happening.item)
        view = self.steps.get(key)
        if key in self.known or view is None or view.state is not StepState.READY:
            self.discarded.append(happening)
            return
        self._set(happening.step, happening.item, replace(view, state=StepState.RUNNING, attempt=view.attempt + 1))

    def _succeeded(self, happening: StepSucceeded) -> None:
        if view := self._running(happening):
            done = replace(view, state=StepState.SUCCEEDED, output=happening.output)
            self._set(happening.step, happening.item, done)

    def _failed(self, happening: StepFailed) -> None:
        view = self._running(happening)
        if view is None:
            return
        node = self.graph.steps[happening.step]
        view = replace(view, failures=view.failures + 1)
        if not happening.certain and not repeatable(node):
            self._set(happening.step, happening.item, replace(view, state=StepState.UNKNOWN), happening.error)
            self._event("step.unknown", happening, {"error": happening.error})
            return
        if not happening.retryable or view.failures >= node.retry.max_attempts:
            self._set(happening.step, happening.item, replace(view, state=StepState.FAILED), happening.error)
            self._event("step.attempt_failed", happening, {"error": happening.error, "retry_at": None})
            return
        due_at = self.now + timedelta(seconds=rest(node, view.failures, happening.jitter, happening.retry_after))
        waiting = replace(view, state=StepState.WAITING)
        self._set(happening.step, happening.item, waiting, happening.error, due_at)
        self._event("step.attempt_failed", happening, {"error": happening.error, "retry_at": due_at.isoformat()})

    def _lost(self, happening: StepLost) -> None:
        view = self._running(happening)
        if view is None:
            return
        view = replace(view, lost=view.lost + 1)
        error = {"code": "worker_lost", "message": f"the worker of attempt {view.attempt} is gone"}
        if not repeatable(self.graph.steps[happening.step]):
            self._set(happening.step, happening.item, replace(view, state=StepState.UNKNOWN), error)
            self._event("step.unknown", happening, {"error": error})
        elif view.lost >= happening.max_lost:
            self._set(happening.step, happening.item, replace(view, state=StepState.FAILED), error)
            self._event("step.attempt_failed", happening, {"error": error, "retry_at": None})
        else:
            self._set(happening.step, happening.item, replace(view, state=StepState.READY), error)
            self._event("step.lost", happening, {"error": error})

    def _resolved(self, happening: StepResolved) -> None:
        view = self.steps.get((happening.step, happening.item))
        if view is None or view.state is not StepState.UNKNOWN:
            self.discarded.append(happening)
            return
        state = {
            "succeeded": StepState.SUCCEEDED,
            "failed": StepState.FAILED,
            "retry": StepState.READY,
        }[happening.outcome]
        error = None
        if state is StepState.FAILED:
            error = {"code": "resolved_failed", "message": happening.note or f"{happening.by} says it failed"}
        output = happening.output if state is StepState.SUCCEEDED else None
        self._set(happening.step, happening.item, replace(view, state=state, output=output), error)
        detail = {"by": happening.by, "outcome": happening.outcome, "note": happening.note}
        self.events.append(Event("step.resolved", happening.step, happening.item, view.attempt, detail))

    def _set(
        self,
        step: str,
        item: int,
        view: StepView,
        error: Mapping[str, Any] | None = None,
        due_at: datetime | None = None,
        *,
        input: Any = None,
    ) -> None:
        key = (step, item)
        new = key not in self.known
        if new and (earlier := self.changes.get(key)):
            input = earlier.input
        self.steps[key] = view
        if self._fails(step, view):
            self.failed.append(step)
        self.changes[key] = StepChange(
            step, item, new, view.state, view.attempt, view.failures, view.lost, input, view.output, error, due_at
        )
        self.context = None

    def _event(self, type: str, of: StepFailed | StepLost, detail: Mapping[str, Any]) -> None:
        self.events.append(Event(type, of.step, of.item, of.attempt, detail))

    # --- the run ---

    def _advance(self) -> None:
        """Start what may start, end what has ended."""
        if not self.state.ended:
            for node in self.graph.steps.values():
                if node.essential and not self.failed:
                    self._begin(node)
            self._end()
        if self.state in (RunState.SUCCEEDED, RunState.FAILED):
            for node in self.graph.steps.values():
                if not node.essential:
                    self._begin(node)

    def _begin(self, node: StepNode) -> None:
        """Make a pending step READY or SKIPPED once its needs have ended."""
        if (node.id, NO_ITEM) in self.steps:
            return
        needs = [self.steps.get((need, NO_ITEM)) for need in node.needs]
        if self.state.ended:
            # What an essential step will never give, a later step cannot wait for.
            hopeless = any(
                need is None and self.graph.steps[name].essential for name, need in zip(node.needs, needs, strict=True)
            )
            if hopeless:
                self._set(node.id, NO_ITEM, StepView(StepState.SKIPPED))
                return
        if any(need is None or not need.state.ended for need in needs):
            return
        states = {need.state for need in needs if need is not None}
        if states & {StepState.FAILED, StepState.CANCELLED}:
            self._set(node.id, NO_ITEM, StepView(StepState.SKIPPED))
            return
        if node.condition is None and StepState.SKIPPED in states:
            self._set(node.id, NO_ITEM, StepView(StepState.SKIPPED))
            return
        try:
            if node.condition is not None and not node.condition.test(self._context()):
                self._set(node.id, NO_ITEM, StepView(StepState.SKIPPED))
                return
            value = self._input(node)
        except ExpressionError as error:
            fault = {"code": "expression_error", "message": str(error)}
            self._set(node.id, NO_ITEM, StepView(StepState.FAILED), fault)
            return
        self._set(node.id, NO_ITEM, StepView(StepState.READY), input=value)

    def _input(self, node: StepNode) -> Any:
        if node.with_ is None:
            return {}
        return node.with_.render({} if node.with_.constant else self._context())

    def _fails(self, step: str, view: StepView) -> bool:
        return view.state is StepState.FAILED and self.graph.steps[step].essential

    def _end(self) -> None:
        if self.failed:
            step = self.failed[0]
            change = self.changes.get((step, NO_ITEM))
            cause = change.error if change else None
            message = f"step {step} failed"
            if cause:
                message = f"{message}: {cause.get('message', '')}"
            error = {"code": "step_failed", "step": step, "message": message, "cause": cause}
            self._finish(RunState.FAILED, error=error)
            return
        for node in self.graph.steps.values():
            if node.essential:
                view = self.steps.get((node.id, NO_ITEM))
                if view is None or not view.state.ended:
                    return
        self._succeed()

    def _succeed(self) -> None:
        output = None
        if self.graph.output is not None:
            try:
                output = self.graph.output.render(self._context())
            except ExpressionError as error:
                self._finish(RunState.FAILED, error={"code": "output_error", "message": f"output: {error}"})
                return
        self._finish(RunState.SUCCEEDED, output)

    def _stop(self, happening: Happening, state: RunState, type: str, message: str, detail: Mapping[str, Any]) -> None:
        if self.state.ended:
            self.discarded.append(happening)
            return
        self.events.append(Event(type, detail=detail))
        self._finish(state, error={"code": state.lower(), "message": message, **detail})

    def _finish(self, state: RunState, output: Any = None, error: Mapping[str, Any] | None = None) -> None:
        """End the run. What has not begun is cancelled, and so is what runs and can be repeated: its late result is
        discarded. A running step that is not idempotent keeps its row, so that its outcome is still recorded."""
        self.state = state
        self.run_change = RunChange(state, output, error)
        self.context = None
        for (step, item), view in list(self.steps.items()):
            idle = view.state in (StepState.READY, StepState.WAITING)
            if idle or (view.state is StepState.RUNNING and repeatable(self.graph.steps[step])):
                self._set(step, item, replace(view, state=StepState.CANCELLED))

    def _context(self) -> dict[str, Any]:
        """What expressions may read: `input`, `steps.<id>.output|status`, `run`."""
        if self.context is None:
            steps: dict[str, dict[str, Any]] = {}
            for step in self.graph.steps:
                view = self.steps.get((step, NO_ITEM))
                steps[step] = {
                    "output": view.output if view else None,
                    "status": str(view.state if view else StepState.PENDING),
                }
            run = self.run
            self.context = {
                "input": run.input,
                "steps": steps,
                "run": {
                    "id": run.id,
                    "workflow": run.workflow,
                    "business_key": run.business_key,
                    "created_at": run.created_at.isoformat(),
                    "status": str(self.state),
                },
            }
        return self.context

    # --- the plan ---

    def plan(self) -> Plan:
        if not self.state.ended:
            self._settle()
        ready = tuple(key for key, change in self.changes.items() if change.state is StepState.READY)
        return Plan(tuple(self.changes.values()), self.run_change, ready, tuple(self.events), tuple(self.discarded))

    def _settle(self) -> None:
        """RUNNING while something can go on by itself, WAITING while nothing can, PENDING before the first claim."""
        states = {view.state for view in self.steps.values()}
        if states & {StepState.READY, StepState.RUNNING}:
            state = RunState.PENDING if self.state is RunState.PENDING else RunState.RUNNING
        elif states & {StepState.WAITING, StepState.UNKNOWN}:
            state = RunState.WAITING
        else:
            return
        if state is not self.run.state:
            self.state = state
            self.run_change = RunChange(state)


def repeatable(node: StepNode) -> bool:
    """Whether an attempt with an unknown outcome may be run again. A transactional step may, whatever it does: if its
    outcome is not recorded, its writes were rolled back."""
    return node.idempotent or node.transactional


def rest(node: StepNode, failures: int, jitter: float, retry_after: float | None) -> float:
    """Seconds before the next attempt: exponential, capped, with equal jitter (AWS Architecture Blog, "Exponential
    Backoff And Jitter"); never less than what the failed attempt asked for."""
    # The exponent is bounded because a float overflows, long after every cap has been reached.
    delay = min(node.retry.backoff * node.retry.factor ** min(failures - 1, 60), node.retry.max_delay)
    delay *= 0.5 + 0.5 * jitter
    return max(delay, retry_after or 0.0)


# Note [Fencing]
# A claim raises the step's `attempt`, and the number is the claim's token. Whoever reports on a step names the attempt
# that it was given. If a worker was taken for dead and its step was claimed anew, the row is at a later attempt, and
# the former owner's report no longer counts: it is discarded, whatever it says.
