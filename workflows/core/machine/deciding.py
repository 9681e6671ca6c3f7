"""One decision: a copy of the snapshot that takes happenings in turn, and the plan that results."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from workflows.core.cost import BUDGET_KEY, Budget
from workflows.core.expressions import ExpressionError
from workflows.core.graph import Graph, StepNode
from workflows.core.machine.happenings import (
    NO_ITEM,
    Happening,
    RunCancelled,
    RunResumed,
    RunSignalled,
    RunStarted,
    RunTimedOut,
    StepHappening,
    StepSignalled,
)
from workflows.core.machine.items import FanView
from workflows.core.machine.plan import Event, Opened, Plan, RunChange, Snapshot, StepChange, StepKey, StepView
from workflows.core.states import RunState, StepState

#: what expressions see of a state
_STATUS = {state: str(state) for state in StepState}


def decide(
    graph: Graph, snapshot: Snapshot, happenings: Sequence[Happening], now: datetime, budget: Budget | None = None
) -> Plan:
    """What follows from `happenings`, in their order. Never raises for what users wrote: that becomes a failure.

    budget: is charged for the expressions.
    """
    deciding = Deciding(graph, snapshot, now, budget)
    for happening in happenings:
        deciding.take(happening)
    return deciding.plan()


class Deciding:
    """One decision in the making. Kinds of steps read it, and write by `set`, `again`, `begin_items`, `join_items`,
    `stop_items`, and by appending to `events`, `discarded`, `asks` and `opened`, or
    putting into `closed`."""

    def __init__(self, graph: Graph, snapshot: Snapshot, now: datetime, budget: Budget | None = None) -> None:
        self.graph = graph
        self._budget = budget or Budget()
        #: the context of a template without expressions
        self.constants: Mapping[str, Any] = {BUDGET_KEY: self._budget}
        self._now = now
        #: whether anything depends on the clock
        self._timed = False
        self.run = snapshot.run
        self.state = snapshot.run.state
        self.known = snapshot.steps
        self.steps: dict[StepKey, StepView] = dict(snapshot.steps)
        self.changes: dict[StepKey, StepChange] = {}
        self.run_change: RunChange | None = None
        self.events: list[Event] = []
        self.discarded: list[Happening] = []
        self._context: dict[str, Any] | None = None
        #: for running steps that have items: the state of these items
        self.fans: dict[str, FanView] = {step: view.fan for (step, _), view in snapshot.steps.items() if view.fan}
        #: steps whose items the run's end stopped
        self.cancels: list[str] = []
        #: (step, signal) of steps that wait for a signal from now on
        self.asks: list[tuple[str, str]] = []
        #: approval tasks that begin, and the outcome of those that end, by step
        self.opened: list[Opened] = []
        self.closed: dict[str, str] = {}
        #: the items of steps that begin here
        self.begun: dict[str, list[StepChange]] = {}
        #: essential steps that failed for good, in the order in which they did
        self.failed = [step for (step, item), view in snapshot.steps.items() if self._fails(step, item, view)]

    @property
    def now(self) -> datetime:
        """The moment of this decision. A decision that reads it is made again by the database's clock."""
        self._timed = True
        return self._now

    def take(self, happening: Happening) -> None:
        """Take in the next happening."""
        # One at a time, so that deciding on several together gives the same result as deciding one by one.
        self._budget.renew()
        if isinstance(happening, StepHappening):
            node = self.graph.steps.get(happening.step)
            if node is None:
                self.discarded.append(happening)
            else:
                node.how.happened(self, node, happening)
            if happening.item != NO_ITEM:
                # Nothing follows from one item alone: its step goes on, or is joined, which is a happening of its own.
                return
        else:
            self._happened(happening)
        self._advance()

    def ready(self) -> list[StepChange]:
        """The steps that have become READY so far."""
        return [change for change in self.changes.values() if change.state is StepState.READY]

    def _happened(self, happening: RunStarted | RunCancelled | RunSignalled | RunResumed | RunTimedOut) -> None:
        match happening:
            case RunStarted():
                pass
            case RunCancelled():
                detail = {"by": happening.by, "reason": happening.reason}
                self._stop(happening, RunState.CANCELLED, "run.cancelled", "the run was cancelled", detail)
            case RunSignalled():
                self._signalled(happening)
            case RunResumed():
                self._resumed(happening.moved)
            case RunTimedOut():
                self._stop(happening, RunState.TIMED_OUT, "run.timed_out", "the run missed its deadline", {})

    # --- what kinds of steps write ---

    def set(
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
        """Set the state of a step, or an item. `input` and `items` count only for a new one."""
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
            self._context = None

    def again(self, step: str, item: int, view: StepView, error: Mapping[str, Any] | None = None) -> None:
        """Make it READY for another attempt; an item for which there is no place waits for one."""
        state, fan = StepState.READY, self.fans.get(step)
        if item != NO_ITEM and fan is not None and view.state is not StepState.RUNNING and not self._room(step, fan):
            state = StepState.PENDING
        self.set(step, item, replace(view, state=state), error)

    def context(self) -> dict[str, Any]:
        """What expressions may read: `input`, `steps.<id>.output|status`, `run`."""
        if self._context is None:
            steps: dict[str, dict[str, Any]] = {}
            for step in self.graph.steps:
                view = self.steps.get((step, NO_ITEM))
                steps[step] = (
                    {"output": view.output, "status": _STATUS[view.state]}
                    if view
                    else {"output": None, "status": "PENDING"}
                )
            run = self.run
            self._context = {
                BUDGET_KEY: self._budget,
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
        return self._context

    # --- items of steps (Note [Items] in `items`) ---

    def begin_items(self, step: str, items: Sequence[StepChange]) -> None:
        """Make the step RUNNING with these items, which are new, and PENDING, READY or ended."""
        fan = FanView.of(_counted(items))
        self.begun[step] = list(items)
        self.fans[step] = fan
        self.set(step, NO_ITEM, StepView(StepState.RUNNING, fan=fan), items=len(items))

    def join_items(self, step: str) -> tuple[StepView, FanView] | None:
        """Take a step whose items have all ended. This works once, while its row is RUNNING. Returns the row and the
        state of the items, which are then forgotten; None if it is not, or no longer, such a step."""
        view, fan = self.steps.get((step, NO_ITEM)), self.fans.get(step)
        if view is None or view.state is not StepState.RUNNING or fan is None or not fan.over:
            return None
        del self.fans[step]
        return replace(view, fan=None), fan

    def stop_items(self, step: str) -> None:
        """The run ends without the rest of these items, and so does the step."""
        self.fans.pop(step, None)
        if step in self.begun:
            self.begun[step] = [
                change if change.state.ended else replace(change, state=StepState.CANCELLED)
                for change in self.begun[step]
            ]
        else:
            self.cancels.append(step)
        self.set(step, NO_ITEM, replace(self.steps[step, NO_ITEM], state=StepState.CANCELLED, fan=None))

    def _room(self, step: str, fan: FanView) -> int:
        return self.graph.steps[step].how.places - fan.active

    def _release(self) -> list[tuple[str, int]]:
        """Fill the places that became free. The items at hand come first, because the store could not distinguish them
        from those that it finds; then come any others."""
        releases: list[tuple[str, int]] = []
        for step in self.fans:
            for (other, item), change in list(self.changes.items()):
                waits = other == step and item != NO_ITEM and change.state is StepState.PENDING
                if waits and self._room(step, self.fans[step]) > 0:
                    self.set(step, item, replace(self.steps[step, item], state=StepState.READY), change.error)
            if step in self.begun:
                continue
            # If there is still a place, none of the items at hand waits for it.
            fan = self.fans[step]
            count = min(fan.pending, self._room(step, fan))
            if count > 0:
                releases.append((step, count))
                self.fans[step] = fan.moved(StepState.PENDING, StepState.READY, count)
        return releases

    # --- the run ---

    def _advance(self) -> None:
        """Start what may start, end what has ended."""
        self._begin_what_can()
        while self.graph.watching and self._look_again():
            self._begin_what_can()

    def _look_again(self) -> bool:
        """Whether a step that waits for what others do has ended."""
        found = False
        for id in self.graph.watching:
            view = self.steps.get((id, NO_ITEM))
            if view is not None and view.state is StepState.WAITING:
                # What the worker's clock decides could be overtaken by what has come meanwhile.
                self._timed = True
                node = self.graph.steps[id]
                found |= node.how.look_again(self, node, view)
        return found

    def _begin_what_can(self) -> None:
        if not self.state.ended:
            for id, node in self.graph.steps.items():
                if node.essential and not self.failed and (id, NO_ITEM) not in self.steps:
                    self._begin(node)
            self._end()
        if self.state in (RunState.SUCCEEDED, RunState.FAILED):
            for id, node in self.graph.steps.items():
                if not node.essential and (id, NO_ITEM) not in self.steps:
                    self._begin(node)

    def _begin(self, node: StepNode) -> None:
        """Let a pending step begin, or skip it, once its needs have ended."""
        if self.state.ended and self._hopeless(node):
            self.set(node.id, NO_ITEM, StepView(StepState.SKIPPED))
            return
        states: set[StepState] = set()
        for need in node.needs:
            view = self.steps.get((need, NO_ITEM))
            if view is None or not view.state.ended:
                return
            states.add(view.state)
        if states & {StepState.FAILED, StepState.CANCELLED}:
            self.set(node.id, NO_ITEM, StepView(StepState.SKIPPED))
            return
        if node.condition is None and StepState.SKIPPED in states:
            self.set(node.id, NO_ITEM, StepView(StepState.SKIPPED))
            return
        try:
            if node.condition is not None and not node.condition.test(self.context()):
                self.set(node.id, NO_ITEM, StepView(StepState.SKIPPED))
                return
            node.how.begin(self, node)
        except ExpressionError as error:
            fault = {"code": "expression_error", "message": str(error)}
            self.set(node.id, NO_ITEM, StepView(StepState.FAILED), fault)

    def _hopeless(self, node: StepNode) -> bool:
        """Whether a later step waits for an essential one, which no longer begins since the run has ended."""
        return any((need, NO_ITEM) not in self.steps and self.graph.steps[need].essential for need in node.needs)

    def _fails(self, step: str, item: int, view: StepView) -> bool:
        return view.state is StepState.FAILED and item == NO_ITEM and self.graph.steps[step].essential

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
                output = self.graph.output.render(self.context())
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

    def _signalled(self, happening: RunSignalled) -> None:
        """Give it to exactly one step: the first that waits for it."""
        signal = happening.signal
        for id, node in self.graph.steps.items():
            if signal.name in node.how.signals and self._wants(id, signal.name):
                node.how.happened(self, node, StepSignalled(id, signal))
                return
        self.discarded.append(happening)

    def _resumed(self, moved: float) -> None:
        """Signals that came during the pause were kept. Places that became free are filled by every plan."""
        for id, node in self.graph.steps.items():
            view = self.steps.get((id, NO_ITEM))
            if view is None or view.state is not StepState.WAITING:
                continue
            if node.how.told_of_pauses:
                node.how.resumed(self, node, view, moved)
                view = self.steps[id, NO_ITEM]
            self.asks.extend((id, signal) for signal in node.how.signals if node.how.wants(view, signal))

    def _finish(self, state: RunState, output: Any = None, error: Mapping[str, Any] | None = None) -> None:
        """End the run. The kind of each step that has not ended decides what becomes of it."""
        self.state = state
        self.run_change = RunChange(state, output, error)
        self._context = None
        for (step, item), view in list(self.steps.items()):
            if item == NO_ITEM and not view.state.ended:
                node = self.graph.steps[step]
                node.how.stop(self, node, view)

    # --- the plan ---

    def plan(self) -> Plan:
        """What has been decided so far."""
        paused = self.state is RunState.PAUSED
        releases = self._release() if self.fans and not paused else []
        if paused:
            self._park()
        elif not self.state.ended:
            self._settle()
        changes = [*self.changes.values(), *(change for items in self.begun.values() for change in items)]
        ready = tuple((change.step, change.item) for change in changes if change.state is StepState.READY)
        joins = tuple(step for step, fan in self.fans.items() if fan.over)
        return Plan(
            tuple(changes),
            self.run_change,
            ready,
            tuple(self.events),
            tuple(self.discarded),
            self.fans,
            tuple(releases),
            joins,
            tuple(self.cancels),
            self._open_asks() if self.asks else (),
            # One that ends as it begins is never seen.
            tuple(one for one in self.opened if one.step not in self.closed) if self.opened else (),
            self._closed() if self.closed else (),
            bool(self._timed or joins or self.cancels or self.asks),
        )

    def _closed(self) -> tuple[tuple[str, str], ...]:
        begun = {one.step for one in self.opened}
        return tuple((step, outcome) for step, outcome in self.closed.items() if step not in begun)

    def _open_asks(self) -> tuple[tuple[str, str], ...]:
        """The run may have ended, or the signal may have come, after the step began to wait."""
        return tuple((step, signal) for step, signal in self.asks if self._wants(step, signal))

    def _wants(self, step: str, signal: str) -> bool:
        view = self.steps.get((step, NO_ITEM))
        return view is not None and view.state is StepState.WAITING and self.graph.steps[step].how.wants(view, signal)

    def _park(self) -> None:
        """The run is paused: what would go on is parked (Note [Pause] in `engine/pausing`)."""
        for (step, item), change in list(self.changes.items()):
            if change.state in (StepState.READY, StepState.WAITING):
                view = replace(self.steps[step, item], state=StepState.PAUSED)
                self.set(step, item, view, change.error, change.due_at, input=change.input, items=change.items)
        for step, items in self.begun.items():
            self.begun[step] = [
                replace(change, state=StepState.PAUSED) if change.state is StepState.READY else change
                for change in items
            ]
            if step in self.fans:
                self.fans[step] = FanView.of(_counted(self.begun[step]))

    def _settle(self) -> None:
        """RUNNING while something can go on by itself, WAITING while nothing can, PENDING before the first claim."""
        states = {view.state for (step, item), view in self.steps.items() if item == NO_ITEM and step not in self.fans}
        for fan in self.fans.values():
            # A step whose items are over is about to be joined.
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


def _counted(items: Iterable[StepChange]) -> Mapping[StepState, int]:
    counts: dict[StepState, int] = {}
    for change in items:
        counts[change.state] = counts.get(change.state, 0) + 1
    return counts
