"""Decides what happens next in a run: (graph, snapshot, what happened, now) → Plan. Pure.

Called under the run's lock by the store, which then writes many plans, of many runs, in sets. It knows no clock and no
randomness: `now` and each failure's `jitter` are handed in, so that a stored history decides the same plan again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from workflows.core import fan_out
from workflows.core.expressions import ExpressionError
from workflows.core.fan_out import FanView, ItemResult
from workflows.core.format import MAX_ITEMS
from workflows.core.graph import FanOut, Graph, StepNode
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
    #: how the items of a running fan-out stand
    fan: FanView | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run and its steps; of the items of fan-outs at least those that the happenings are about."""

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
class ItemsEnded:
    """Every item of a fan-out has ended. results: of all items, in order; None if their outputs are too large."""

    step: str
    results: tuple[ItemResult, ...] | None


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
    | ItemsEnded
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
    #: of a fan-out's own row: how many items it has; counts only where `new`
    items: int | None = None


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
    #: fan-outs that go on, as they are once `releases` are done
    fans: Mapping[str, FanView] = field(default_factory=dict)
    #: (step, how many): pending items to be made READY, the first ones of those that `steps` does not name
    releases: tuple[tuple[str, int], ...] = ()
    #: fan-outs whose items have all ended: their results are to be read and handed in as ItemsEnded
    joins: tuple[str, ...] = ()
    #: fan-outs that ended with the run: what of their items has not begun or can be repeated is to be cancelled
    cancels: tuple[str, ...] = ()


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
        #: running fan-outs, and those that the run's end stopped
        self.fans: dict[str, FanView] = {step: view.fan for (step, _), view in snapshot.steps.items() if view.fan}
        self.cancels: list[str] = []
        #: fan-outs that begin here, with their items
        self.begun: dict[str, list[StepChange]] = {}
        #: essential steps that failed for good, in the order in which they did
        self.failed = [step for (step, item), view in snapshot.steps.items() if self._fails(step, item, view)]

    def take(self, happening: Happening) -> None:
        """This happened next."""
        self._happened(happening)
        if getattr(happening, "item", NO_ITEM) == NO_ITEM:
            # Of one item alone nothing follows: its fan-out goes on, or is joined, which is a happening of its own.
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
                    self._again(happening.step, happening.item, view)
            case StepDue():
                view = self.steps.get((happening.step, happening.item))
                if view is None or view.state is not StepState.WAITING:
                    self.discarded.append(happening)
                else:
                    self._again(happening.step, happening.item, view)
            case StepResolved():
                self._resolved(happening)
            case ItemsEnded():
                self._join(happening)
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
            self._again(happening.step, happening.item, view, error)
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
        if state is StepState.READY:
            self._again(happening.step, happening.item, view)
        else:
            self._set(happening.step, happening.item, replace(view, state=state, output=output), error)
        detail = {"by": happening.by, "outcome": happening.outcome, "note": happening.note}
        self.events.append(Event("step.resolved", happening.step, happening.item, view.attempt, detail))

    def _again(self, step: str, item: int, view: StepView, error: Mapping[str, Any] | None = None) -> None:
        """READY for another attempt; an item for which its fan-out has no place waits for one."""
        state, fan = StepState.READY, self.fans.get(step)
        if item != NO_ITEM and fan is not None and view.state is not StepState.RUNNING and not self._room(step, fan):
            state = StepState.PENDING
        self._set(step, item, replace(view, state=state), error)

    def _set(
        self,
        step: str,
        item: int,
        view: StepView,
        error: Mapping[str, Any] | None = None,
        due_at: datetime | None = None,
        *,
        input: Any = None,
        items: int | None = None,
    ) -> None:
        key = (step, item)
        new = key not in self.known
        if new and (earlier := self.changes.get(key)):
            input, items = earlier.input, earlier.items
        if item != NO_ITEM and (fan := self.fans.get(step)):
            self.fans[step] = fan.moved(self.steps[key].state, view.state)
        self.steps[key] = view
        if self._fails(step, item, view):
            self.failed.append(step)
        self.changes[key] = StepChange(
            step,
            item,
            new,
            view.state,
            view.attempt,
            view.failures,
            view.lost,
            input,
            view.output,
            error,
            due_at,
            items,
        )
        if item == NO_ITEM:
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
            if node.fan_out is not None:
                self._fan_out(node, node.fan_out)
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

    def _fails(self, step: str, item: int, view: StepView) -> bool:
        return view.state is StepState.FAILED and item == NO_ITEM and self.graph.steps[step].essential

    # --- fan-outs (see Note [Fan-out] in `fan_out`) ---

    def _fan_out(self, node: StepNode, how: FanOut) -> None:
        """Begin a fan-out: its own row, and one for each item. Raises ExpressionError."""
        values = how.foreach.render(self._context())
        if not isinstance(values, list) or len(values) > MAX_ITEMS:
            fault = {"code": "foreach_not_a_list", "message": "foreach gave no list"}
            if isinstance(values, list):
                message = f"foreach gave {len(values):,} items; at most {MAX_ITEMS:,} are allowed"
                fault = {"code": "foreach_too_many", "message": message}
            self._set(node.id, NO_ITEM, StepView(StepState.FAILED), fault)
            return
        changes: list[StepChange] = []
        failed = active = size = 0
        context = {**self._context()}
        for index, value in enumerate(values):
            state, input, error = StepState.READY, None, None
            context["item"], context["index"] = value, index
            try:
                input = node.with_.render(context) if node.with_ is not None else {}
            except ExpressionError as fault_of_item:
                failed += 1
                state, error = StepState.FAILED, {"code": "expression_error", "message": str(fault_of_item)}
            else:
                size += len(orjson.dumps(input))
                if size > fan_out.MAX_INPUT_BYTES:
                    much = f"the items' inputs have more than {fan_out.MAX_INPUT_BYTES:,} bytes together"
                    fault = {"code": "foreach_too_large", "message": f"{much}; hand on references in place of data"}
                    self._set(node.id, NO_ITEM, StepView(StepState.FAILED), fault)
                    return
                if active < how.max_parallel:
                    active += 1
                else:
                    state = StepState.PENDING
            changes.append(StepChange(node.id, index, True, state, 0, 0, 0, input, error=error))
        fan = FanView(pending=len(values) - active - failed, active=active, failed=failed)
        self.begun[node.id] = changes
        self.fans[node.id] = fan
        self._set(node.id, NO_ITEM, StepView(StepState.RUNNING, fan=fan), items=len(values))
        if fan.over:
            results = tuple(ItemResult(change.item, change.state, None, change.error) for change in changes)
            self._join(ItemsEnded(node.id, results))

    def _join(self, happening: ItemsEnded) -> None:
        """The end of a fan-out, once: the row is RUNNING until it has happened."""
        view = self.steps.get((happening.step, NO_ITEM))
        fan, how = self.fans.get(happening.step), self.graph.steps[happening.step].fan_out
        if view is None or view.state is not StepState.RUNNING or fan is None or how is None or not fan.over:
            self.discarded.append(happening)
            return
        del self.fans[happening.step]
        state, output, error = StepState.SUCCEEDED, None, None
        if happening.results is not None:
            output = fan_out.compose(happening.results)
        if not how.tolerates(fan.failed, fan.total):
            state = StepState.FAILED
            error = {"code": "items_failed", "message": f"{fan.failed} of {fan.total} items failed"}
            if happening.results is not None:
                error = fan_out.items_failed(happening.results)
        elif output is None:
            state = StepState.FAILED
            message = f"the items' outputs have more than {fan_out.MAX_OUTPUT_BYTES:,} bytes together"
            error = {"code": "output_too_large", "message": f"{message}; they can be read one by one"}
        self._set(happening.step, NO_ITEM, replace(view, state=state, output=output, fan=None), error)

    def _room(self, step: str, fan: FanView) -> int:
        how = self.graph.steps[step].fan_out
        return how.max_parallel - fan.active if how else 0

    def _stop_fan_out(self, step: str) -> None:
        """The run ends without the rest of these items."""
        self.fans.pop(step, None)
        if step in self.begun:
            self.begun[step] = [
                change if change.state.ended else replace(change, state=StepState.CANCELLED)
                for change in self.begun[step]
            ]
        else:
            self.cancels.append(step)

    def _release(self) -> list[tuple[str, int]]:
        """Fill the places that became free: with the items at hand first, which the store could not tell from those
        that it finds, then with any others."""
        releases: list[tuple[str, int]] = []
        for step in self.fans:
            for (other, item), change in list(self.changes.items()):
                waits = other == step and item != NO_ITEM and change.state is StepState.PENDING
                if waits and self._room(step, self.fans[step]) > 0:
                    self._set(step, item, replace(self.steps[step, item], state=StepState.READY), change.error)
            if step in self.begun:
                continue
            # If there is still a place, none of the items at hand waits for it.
            fan = self.fans[step]
            count = min(fan.pending, self._room(step, fan))
            if count > 0:
                releases.append((step, count))
                self.fans[step] = fan.moved(StepState.PENDING, StepState.READY, count)
        return releases

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
            if item == NO_ITEM and step in self.fans:
                self._stop_fan_out(step)
                self._set(step, item, replace(view, state=StepState.CANCELLED, fan=None))
                continue
            if item != NO_ITEM:
                continue
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
        releases = self._release() if self.fans else []
        if not self.state.ended:
            self._settle()
        changes = [*self.changes.values(), *(change for items in self.begun.values() for change in items)]
        ready = tuple((change.step, change.item) for change in changes if change.state is StepState.READY)
        return Plan(
            tuple(changes),
            self.run_change,
            ready,
            tuple(self.events),
            tuple(self.discarded),
            self.fans,
            tuple(releases),
            tuple(step for step, fan in self.fans.items() if fan.over),
            tuple(self.cancels),
        )

    def _settle(self) -> None:
        """RUNNING while something can go on by itself, WAITING while nothing can, PENDING before the first claim."""
        states = {view.state for (step, item), view in self.steps.items() if item == NO_ITEM and step not in self.fans}
        for fan in self.fans.values():
            # One that is over is about to be joined.
            states.add(StepState.READY if fan.active or fan.over else StepState.WAITING)
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
