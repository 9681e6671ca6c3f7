"""Laws of a pause: a run that is paused and resumed is as one that never was, but for the time; a paused run begins
nothing, and loses nothing that comes meanwhile."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.workflows.core.test_wait_properties import NAMES, NOW, graphs
from workflows.core import machine
from workflows.core.graph import Graph
from workflows.core.machine import NO_ITEM, RunView, Signal, Snapshot, StepView
from workflows.core.states import RunState, StepState

IDLE = (StepState.READY, StepState.WAITING)


class World:
    """A run, and what the store does with it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.now = NOW
        #: since when it is paused
        self.since: datetime | None = None
        self.run = RunView("r", "w", None, "standard", RunState.PENDING, {}, NOW)
        self.steps: dict[str, StepView] = {}
        self.due: dict[str, datetime | None] = {}
        self.kept: list[Signal] = []
        self.apply(machine.RunStarted())

    def apply(self, *happenings: machine.Happening) -> machine.Plan:
        snapshot = Snapshot(self.run, {(step, NO_ITEM): view for step, view in self.steps.items()})
        plan = machine.decide(self.graph, snapshot, happenings, self.since or self.now)
        for change in plan.steps:
            view = StepView(change.state, change.attempt, change.failures, change.lost, change.output)
            self.steps[change.step] = view
            self.due[change.step] = change.due_at
        if plan.run:
            self.run = replace(self.run, state=plan.run.state)
        for step, name in plan.asks:
            signal = next((signal for signal in self.kept if signal.name == name), None)
            if signal is not None and self.steps[step].state is StepState.WAITING:
                self.kept.remove(signal)
                self.apply(machine.StepSignalled(step, signal))
        return plan

    def claim(self, step: str) -> None:
        self.steps[step] = replace(self.steps[step], state=StepState.RUNNING, attempt=self.steps[step].attempt + 1)
        if self.run.state is RunState.PENDING:
            self.run = replace(self.run, state=RunState.RUNNING)

    def send(self, signal: Signal) -> None:
        if self.apply(machine.RunSignalled(signal)).discarded and not self.run.state.ended:
            self.kept.append(signal)

    def pause(self) -> None:
        """As `store.pause` does."""
        self.since = self.now
        self.run = replace(self.run, state=RunState.PAUSED)
        for step, view in self.steps.items():
            if view.state in IDLE:
                self.steps[step] = replace(view, state=StepState.PAUSED)

    def resume(self, begun: bool) -> None:
        """As `store.resume` does. begun: whether a step of the run was ever claimed."""
        assert self.since is not None
        moved, self.since = self.now - self.since, None
        if self.run.state.ended:
            return
        for step, view in self.steps.items():
            if view.state is StepState.PAUSED:
                how, due_at = self.graph.steps[step].how, self.due[step]
                waits = how.work is None or due_at is not None
                self.steps[step] = replace(view, state=StepState.WAITING if waits else StepState.READY)
                if due_at is not None and not how.fixed:
                    self.due[step] = due_at + moved
        goes_on = {view.state for view in self.steps.values()} & {StepState.READY, StepState.RUNNING}
        state = (RunState.RUNNING if begun else RunState.PENDING) if goes_on else RunState.WAITING
        self.run = replace(self.run, state=state)
        self.apply(machine.RunResumed())

    def those(self, *states: StepState) -> list[str]:
        return sorted(step for step, view in self.steps.items() if view.state in states)


class Twins(RuleBasedStateMachine):
    """Two runs to which the same happens; one is paused now and then, and its clock stands meanwhile."""

    @initialize(graph=graphs())
    def start(self, graph: Graph) -> None:
        self.straight, self.paused = World(graph), World(graph)
        self.both = (self.straight, self.paused)
        #: for how long the second was paused in all
        self.behind = timedelta()
        self.sent = 0
        self.begun = False

    def going(self) -> bool:
        return self.paused.since is None

    @precondition(lambda self: self.going() and self.straight.those(StepState.READY))
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        step = data.draw(st.sampled_from(self.straight.those(StepState.READY)))
        self.begun = True
        for world in self.both:
            world.claim(step)

    @precondition(lambda self: self.straight.those(StepState.RUNNING) and not self.sent_in_this_pause())
    @rule(data=st.data(), how=st.sampled_from(["well", "badly", "returned"]))
    def end(self, data: st.DataObject, how: str) -> None:
        """A running step ends, paused or not."""
        step = data.draw(st.sampled_from(self.straight.those(StepState.RUNNING)))
        attempt = self.straight.steps[step].attempt
        happening: machine.Happening = machine.StepSucceeded(step, attempt, {})
        if how == "badly":
            happening = machine.StepFailed(step, attempt, {"code": "x", "message": "y"}, False, 0.0)
        elif how == "returned":
            happening = machine.StepReturned(step, attempt)
        for world in self.both:
            assert not world.apply(happening).discarded

    def sent_in_this_pause(self) -> bool:
        return self.paused.since is not None and bool(getattr(self, "sent_now", False))

    @precondition(lambda self: not self.sent_in_this_pause())
    @rule(name=st.sampled_from(NAMES))
    def send(self, name: str) -> None:
        # One in each pause, and the last of what happens: of several, and of steps that begin to wait after them, the
        # order in which they are given is not the order in which they came.
        self.sent += 1
        self.sent_now = True
        for world in self.both:
            world.send(Signal(f"n{self.sent}", name, self.sent, "ann"))

    @precondition(
        lambda self: self.going() and [s for s in self.straight.those(StepState.WAITING) if self.straight.due[s]]
    )
    @rule(data=st.data())
    def come_due(self, data: st.DataObject) -> None:
        waiting = [step for step in self.straight.those(StepState.WAITING) if self.straight.due[step]]
        step = data.draw(st.sampled_from(waiting))
        for world in self.both:
            due_at = world.due[step]
            assert due_at is not None
            world.now = max(world.now, due_at)
            assert not world.apply(machine.StepDue(step)).discarded

    @precondition(lambda self: self.going() and not self.straight.run.state.ended)
    @rule()
    def pause(self) -> None:
        self.sent_now = False
        self.paused.pause()

    @precondition(lambda self: not self.going())
    @rule(hours=st.integers(0, 100))
    def resume(self, hours: int) -> None:
        self.paused.now += timedelta(hours=hours)
        self.behind += timedelta(hours=hours)
        self.paused.resume(self.begun)

    @precondition(lambda self: not self.straight.run.state.ended and not self.sent_in_this_pause())
    @rule(really=st.integers(0, 9), what=st.sampled_from([machine.RunCancelled("ann"), machine.RunTimedOut()]))
    def stop(self, really: int, what: machine.Happening) -> None:
        if really == 0:
            for world in self.both:
                assert not world.apply(what).discarded

    # --- what always holds ---

    @invariant()
    def a_paused_run_begins_nothing(self) -> None:
        if hasattr(self, "paused") and not self.going() and not self.paused.run.state.ended:
            assert self.paused.run.state is RunState.PAUSED
            assert not self.paused.those(*IDLE)

    @invariant()
    def the_twins_are_alike(self) -> None:
        if not hasattr(self, "paused") or not self.going():
            return
        one, other = self.straight, self.paused
        assert one.steps == other.steps
        assert one.kept == other.kept
        assert one.run.state == other.run.state or {one.run.state, other.run.state} == {
            RunState.PENDING,
            RunState.RUNNING,
        }, "of a run that nobody has begun the state may be either"
        for step in one.those(StepState.WAITING):
            due_at, moved = one.due[step], other.due[step]
            if due_at is None or one.graph.steps[step].how.fixed:
                assert moved == due_at
            else:
                assert moved is not None
                # What began before a pause was moved by it; what began after it began so much later.
                assert moved - due_at <= self.behind + (other.now - one.now)


Twins.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestTwins = Twins.TestCase
