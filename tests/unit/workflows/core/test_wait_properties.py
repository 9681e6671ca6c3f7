"""Laws of waits: whatever comes in whatever order, a signal is given once and to one step, nobody waits beside a signal
that was kept for it, and a wait ends once: by its moment, its signal, or the end of its run."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.nodes import StepNode as task
from workflows.core import machine
from workflows.core.definition import DefinitionInvalid, validate
from workflows.core.graph import Graph, Retry, StepNode
from workflows.core.kinds import Wait
from workflows.core.machine import NO_ITEM, RunView, Signal, Snapshot, StepView
from workflows.core.states import RunState, StepState
from workflows.core.templates import Template

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("a", "b")
HOUR = timedelta(hours=1)


def waits() -> st.SearchStrategy[Wait]:
    signal = st.builds(
        Wait,
        signal=st.sampled_from(NAMES),
        timeout=st.one_of(st.none(), st.just(60.0)),
        fails=st.booleans(),
    )
    until = st.sampled_from(["2025-12-31T23:00:00Z", "2026-01-01T01:00:00+00:00", "${{ input.nothing }}"])
    return st.one_of(
        signal,
        st.just(Wait(duration=Template.compile("10m"))),
        st.builds(Wait, until=until.map(Template.compile)),
    )


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Small graphs in which about every second step waits."""
    nodes: dict[str, StepNode] = {}
    for index in range(draw(st.integers(1, 6))):
        id = f"s{index}"
        essential = index == 0 or draw(st.booleans())
        candidates = [name for name, node in nodes.items() if node.essential or not essential]
        needs = tuple(draw(st.lists(st.sampled_from(candidates), unique=True, max_size=2)) if candidates else [])
        if draw(st.booleans()):
            nodes[id] = StepNode(id, needs, None, essential, draw(waits()))
        else:
            nodes[id] = task(id, "t.t", needs, None, None, essential, 1.0, Retry(max_attempts=1), True, False)
    dependents = {name: tuple(n.id for n in nodes.values() if name in n.needs) for name in nodes}
    return Graph("w", "standard", None, None, nodes, None, dependents, "")


class Waits(RuleBasedStateMachine):
    @initialize(graph=graphs())
    def start(self, graph: Graph) -> None:
        self.graph = graph
        self.now = NOW
        self.run = RunView("r", "w", None, "standard", RunState.PENDING, {}, NOW)
        self.steps: dict[str, StepView] = {}
        self.due: dict[str, datetime | None] = {}
        self.sent = 0
        self.kept: list[Signal] = []
        #: id of a signal → the step that it was given to
        self.given: dict[str, str] = {}
        self.apply(machine.RunStarted())

    # --- what the store does ---

    def apply(self, *happenings: machine.Happening) -> machine.Plan:
        snapshot = Snapshot(self.run, {(step, NO_ITEM): view for step, view in self.steps.items()})
        plan = machine.decide(self.graph, snapshot, happenings, self.now)
        assert plan == machine.decide(self.graph, snapshot, happenings, self.now), "a replay decides the same"
        for change in plan.steps:
            old = self.steps.get(change.step)
            assert old is None or not old.state.ended, f"{change.step} had ended"
            assert change.due_at is None or plan.locked, "a moment that is not the database's"
            self.steps[change.step] = StepView(
                change.state, change.attempt, change.failures, change.lost, change.output
            )
            self.due[change.step] = change.due_at
        if plan.run:
            assert not self.run.state.ended
            self.run = replace(self.run, state=plan.run.state)
        for event in plan.events:
            if event.type == "step.signalled":
                assert event.detail["id"] not in self.given, "given twice"
                self.given[event.detail["id"]] = str(event.step)
        assert plan.locked or not plan.asks
        for step, name in plan.asks:
            if self.steps[step].state is not StepState.WAITING:
                continue  # an answer to an earlier one ended it
            signal = next((signal for signal in self.kept if signal.name == name), None)
            if signal is not None:
                self.kept.remove(signal)
                assert not self.apply(machine.StepSignalled(step, signal)).discarded
        return plan

    def those(self, *states: StepState) -> list[str]:
        return sorted(step for step, view in self.steps.items() if view.state in states)

    def how(self, step: str) -> Wait:
        how = self.graph.steps[step].how
        assert isinstance(how, Wait)
        return how

    # --- what happens ---

    @precondition(lambda self: self.those(StepState.READY))
    @rule(data=st.data(), well=st.integers(0, 4))
    def work(self, data: st.DataObject, well: int) -> None:
        step = data.draw(st.sampled_from(self.those(StepState.READY)))
        self.steps[step] = replace(self.steps[step], state=StepState.RUNNING, attempt=1)
        if well:
            self.apply(machine.StepSucceeded(step, 1, {}))
        else:
            self.apply(machine.StepFailed(step, 1, {"code": "x", "message": "y"}, False, 0.0))

    @rule(name=st.sampled_from(NAMES))
    def send(self, name: str) -> None:
        self.sent += 1
        waiting = [step for step in self.those(StepState.WAITING) if self.how(step).signal == name]
        order = [step for step in self.graph.steps if step in waiting]
        signal = Signal(f"n{self.sent}", name, {"n": self.sent}, "ann")
        plan = self.apply(machine.RunSignalled(signal))
        assert bool(plan.discarded) is not bool(waiting)
        if waiting:
            assert self.given[signal.id] == order[0]
            assert self.steps[order[0]].output == {"payload": {"n": self.sent}, "by": "ann", "timed_out": False}
        elif not self.run.state.ended:
            self.kept.append(signal)

    @precondition(lambda self: [step for step in self.those(StepState.WAITING) if self.due[step]])
    @rule(data=st.data())
    def come_due(self, data: st.DataObject) -> None:
        step = data.draw(st.sampled_from([step for step in self.those(StepState.WAITING) if self.due[step]]))
        due_at = self.due[step]
        assert due_at is not None
        self.now = max(self.now, due_at)
        self.apply(machine.StepDue(step))
        view, how = self.steps[step], self.how(step)
        if how.signal is None:
            assert (view.state, view.output) == (StepState.SUCCEEDED, {})
        elif how.fails:
            assert view.state is StepState.FAILED
        else:
            assert view.output == {"payload": None, "by": None, "timed_out": True}

    @precondition(lambda self: self.steps)
    @rule(data=st.data())
    def what_does_not_count(self, data: st.DataObject) -> None:
        """A worker's report on a wait, a moment or a signal that comes after its end, somebody else's signal."""
        steps = [step for step in self.steps if isinstance(self.graph.steps[step].how, Wait)]
        if not steps:
            return
        step = data.draw(st.sampled_from(steps))
        stray = [
            machine.StepSucceeded(step, 0, {"forged": True}),
            machine.StepLost(step, 0, 3),
            machine.StepResolved(step, "succeeded", {}, "ann"),
            machine.StepSignalled(step, Signal("z", "no such signal", None, "ann")),
            machine.StepDue(step, item=0),
        ]
        if self.steps[step].state.ended:
            stray += [machine.StepDue(step), machine.StepSignalled(step, Signal("z", NAMES[0], None, "ann"))]
        before = dict(self.steps)
        assert self.apply(data.draw(st.sampled_from(stray))).discarded
        assert self.steps == before

    @rule(really=st.integers(0, 9), what=st.sampled_from([machine.RunCancelled("ann"), machine.RunTimedOut()]))
    def stop(self, really: int, what: machine.Happening) -> None:
        if really == 0 and not self.run.state.ended:
            self.apply(what)
            assert not self.those(StepState.WAITING, StepState.READY)

    # --- what always holds ---

    @invariant()
    def nobody_waits_beside_a_signal_that_was_kept_for_it(self) -> None:
        kept = {signal.name for signal in getattr(self, "kept", ())}
        for step in self.those(StepState.WAITING) if kept else ():
            assert self.how(step).signal not in kept

    @invariant()
    def a_signal_is_given_to_one_step_and_a_step_takes_one(self) -> None:
        given = getattr(self, "given", {})
        assert len(set(given.values())) == len(given)
        assert not {signal.id for signal in getattr(self, "kept", ())} & set(given)

    @invariant()
    def what_waits_can_go_on_or_be_signalled(self) -> None:
        for step in self.those(StepState.WAITING) if hasattr(self, "steps") else ():
            due_at, how = self.due[step], self.how(step)
            assert due_at is not None or (how.signal is not None and how.timeout is None)
            assert how.explain(self.steps[step], due_at).startswith("waits ")

    @invariant()
    def the_run_waits_only_when_nothing_can_go_on_by_itself(self) -> None:
        if not hasattr(self, "run") or self.run.state.ended:
            return
        assert (self.run.state is RunState.WAITING) is not bool(self.those(StepState.READY, StepState.RUNNING))


Waits.TestCase.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
TestWaits = Waits.TestCase


# --- the text of a definition


def graph_of(wait: Any, **more: Any) -> Graph:
    return validate({"name": "a", "steps": {"w": {"wait": wait, **more}}}, {})


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        ({}, "steps.w.wait: needs one of for, until, signal, any, all"),
        (5, "steps.w.wait: is not an object with for, until, signal, any or all"),
        ({"for": "1m", "until": "2026-01-01T00:00:00Z"}, "steps.w.wait: has for and until: it can have only one"),
        ({"for": "soon"}, "steps.w.wait.for: 'soon' is not a duration"),
        ({"for": "9999d"}, "steps.w.wait.for: a duration must be at least 1ms and at most ten years"),
        ({"for": 0}, "steps.w.wait.for: is not a duration"),
        ({"for": "${{ steps.x.output }}"}, 'steps.w.wait.for: no step "x"'),
        ({"until": "2026-01-01"}, "steps.w.wait.until: '2026-01-01' is not a moment with its time zone"),
        ({"until": "2026-01-01T00:00:00"}, "steps.w.wait.until: '2026-01-01T00:00:00' is not a moment"),
        ({"until": "9999-12-31T23:59:59-10:00"}, "steps.w.wait.until: '9999-12-31T23:59:59-10:00' is not a moment"),
        ({"until": "${{ item }}"}, "steps.w.wait.until: item can be read only"),
        ({"signal": "No"}, "steps.w.wait.signal: is not the name of a signal"),
        ({"signal": "a", "schema": {"type": "strin"}}, "steps.w.wait.schema.type: not a JSON Schema"),
        ({"signal": "a", "timeout": "soon"}, "steps.w.wait.timeout: is not a duration"),
        ({"signal": "a", "on_timeout": "continue"}, "steps.w.wait.on_timeout: goes with timeout"),
        ({"signal": "a", "timeout": "1m", "on_timeout": "approve"}, "steps.w.wait.on_timeout: is not fail or continue"),
        ({"for": "1m", "timeout": "2m"}, "steps.w.wait.timeout: goes with signal"),
        ({"for": "1m", "schema": {}}, "steps.w.wait.schema: goes with signal"),
        ({"any": []}, "steps.w.wait.any: [] has less than 1 item"),
        ({"any": [{}]}, "steps.w.wait.any[0]: needs one of for, until, signal"),
        ({"all": [{"for": "1m", "signal": "a"}]}, "steps.w.wait.all[0]: has for and signal: it can have only one"),
        ({"all": [{"signal": "a"}, {"signal": "a"}]}, 'steps.w.wait.all[1].signal: "a" is there already'),
        ({"any": [{"for": "soon"}]}, "steps.w.wait.any[0].for: 'soon' is not a duration"),
        ({"any": [{"until": "${{ steps.x.output }}"}]}, 'steps.w.wait.any[0].until: no step "x"'),
        ({"any": [{"signal": "a", "schema": {"type": "strin"}}]}, "steps.w.wait.any[0].schema.type: not a JSON Schema"),
        ({"any": [{"for": "1m", "schema": {}}]}, "steps.w.wait.any[0].schema: goes with signal"),
        ({"any": [{"for": "1m"}], "schema": {}}, "steps.w.wait.schema: goes with signal"),
        ({"any": [{"for": "1m"}], "all": [{"for": "1m"}]}, "steps.w.wait: has any and all: it can have only one"),
        ({"any": [{"all": [{"any": [{"all": []}]}]}]}, "steps.w.wait.any[0].all[0].any[0].all: unknown key"),
        ({"any": [{"signal": "a", "timeout": "1m"}]}, "steps.w.wait.any[0].timeout: unknown key"),
        ({"singal": "a"}, 'steps.w.wait.singal: unknown key (did you mean "signal"?)'),
    ],
)
def test_a_fault_of_a_wait_has_its_place_and_says_what(wait: Any, expected: str) -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        graph_of(wait)
    assert [fault for fault in map(str, caught.value.faults) if fault.startswith(expected)], caught.value.faults


def test_a_wait_has_no_keys_of_a_task() -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        graph_of({"for": "1m"}, timeout="2m", **{"with": {}})
    assert [fault.path for fault in caught.value.faults] == ["steps.w.timeout", "steps.w.with"]


def begun(wait: Any, input: Any = None) -> machine.StepChange:
    run = RunView("r", "w", None, "standard", RunState.PENDING, input or {}, NOW)
    plan = machine.decide(graph_of(wait), Snapshot(run, {}), [machine.RunStarted()], NOW)
    return plan.steps[0]


@pytest.mark.parametrize(
    ("wait", "due_at"),
    [
        ({"for": "1h"}, NOW + HOUR),
        ({"for": 3600}, NOW + HOUR),
        ({"for": "${{ input.hours }}h"}, NOW + HOUR),
        ({"until": "2026-01-01T02:00:00+01:00"}, NOW + HOUR),
        ({"until": "${{ input.at }}"}, NOW + HOUR),
        ({"signal": "a", "timeout": "1h"}, NOW + HOUR),
        ({"signal": "a"}, None),
    ],
)
def test_a_wait_is_due_when_its_author_says(wait: Any, due_at: datetime | None) -> None:
    change = begun(wait, {"hours": 1, "at": "2026-01-01T01:00:00Z"})
    assert (change.state, change.due_at) == (StepState.WAITING, due_at)


def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    assert begun({"until": "2025-12-31T23:59:59Z"}).state is StepState.SUCCEEDED


@pytest.mark.parametrize(
    ("wait", "message"),
    [
        ({"for": "${{ input.x }}"}, "wait.for: 'soon' is not a duration"),
        ({"for": "${{ -5 }}"}, "wait.for: -5 is not a duration"),
        ({"until": "${{ input.x }}"}, "wait.until: 'soon' is not a moment with its time zone"),
        ({"until": "${{ input.y }}"}, "wait.until: 'None' is not a moment"),
    ],
)
def test_what_cannot_be_waited_for_fails_the_step(wait: Any, message: str) -> None:
    change = begun(wait, {"x": "soon", "y": None})
    assert change.state is StepState.FAILED
    assert change.error is not None
    assert change.error["message"].startswith(message)


def test_the_payload_of_a_signal_is_checked_against_the_schema_of_the_wait() -> None:
    how = graph_of({"signal": "a", "schema": {"type": "object", "required": ["ok"]}}).steps["w"].how
    assert [str(fault) for fault in how.signal_faults("a", {})] == ["payload.ok: is required"]
    assert how.signal_faults("a", {"ok": 1}) == []


def test_what_a_wait_waits_for_is_one_sentence() -> None:
    view = StepView(StepState.WAITING)
    assert Wait(signal="ok").explain(view, None) == 'waits for the signal "ok", without a time limit'
    assert Wait(signal="ok").explain(view, NOW) == 'waits for the signal "ok", until 2026-01-01T00:00:00+00:00'
    assert Wait(duration=Template.compile("1m")).explain(view, NOW) == "waits until 2026-01-01T00:00:00+00:00"
