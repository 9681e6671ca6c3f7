"""State laws: no sequence of happenings leads a run or a step into an illegal state. A model of the world (hypothesis'
state machine) claims steps, reports on them in any order, repeats stale reports, loses workers and stops runs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.nodes import StepNode
from workflows.core import machine
from workflows.core.expressions import Expression
from workflows.core.graph import Graph, Retry
from workflows.core.machine import NO_ITEM, RunView, Snapshot, StepView
from workflows.core.states import RunState, StepState

NOW = datetime(2026, 1, 1, tzinfo=UTC)

STEP_MOVES = {
    None: {StepState.READY, StepState.SKIPPED, StepState.FAILED, StepState.CANCELLED},
    StepState.READY: {StepState.RUNNING, StepState.CANCELLED},
    StepState.RUNNING: set(StepState) - {StepState.PENDING, StepState.SKIPPED},
    StepState.WAITING: {StepState.READY, StepState.CANCELLED},
    StepState.UNKNOWN: {StepState.READY, StepState.SUCCEEDED, StepState.FAILED},
}
RUN_MOVES = {
    RunState.PENDING: set(RunState),
    RunState.RUNNING: {RunState.WAITING, RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.TIMED_OUT},
    RunState.WAITING: {RunState.RUNNING, RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED, RunState.TIMED_OUT},
}


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Small graphs of every shape: needs point backwards, a few conditions, some steps not essential or repeatable."""
    count = draw(st.integers(1, 6))
    nodes: dict[str, StepNode] = {}
    for index in range(count):
        essential = index == 0 or draw(st.booleans())
        candidates = [name for name, node in nodes.items() if node.essential or not essential]
        needs = draw(st.lists(st.sampled_from(candidates), unique=True, max_size=3)) if candidates else []
        condition = draw(st.sampled_from([None, None, None, "true", "false", "input.missing == 1", "input.flag"]))
        nodes[f"s{index}"] = StepNode(
            id=f"s{index}",
            uses="t.t",
            needs=tuple(needs),
            with_=None,
            condition=Expression.compile(condition) if condition else None,
            essential=essential,
            timeout=1.0,
            retry=Retry(max_attempts=draw(st.integers(1, 3))),
            idempotent=draw(st.booleans()),
            transactional=draw(st.booleans()),
        )
    dependents = {name: tuple(n.id for n in nodes.values() if name in n.needs) for name in nodes}
    return Graph("w", "standard", None, None, nodes, None, dependents, "")


class Runs(RuleBasedStateMachine):
    @initialize(graph=graphs(), flag=st.booleans())
    def start(self, graph: Graph, flag: bool) -> None:
        self.graph = graph
        self.now = NOW
        self.run = RunView("r", "w", None, "standard", RunState.PENDING, {"flag": flag}, NOW)
        self.steps: dict[tuple[str, int], StepView] = {}
        self.ends = 0
        self.claimed: list[tuple[str, int]] = []
        self.apply(machine.RunStarted())

    def apply(self, *happenings: machine.Happening) -> machine.Plan:
        before = dict(self.steps)
        plan = machine.decide(self.graph, Snapshot(self.run, before), happenings, self.now)
        assert plan == machine.decide(self.graph, Snapshot(self.run, before), happenings, self.now)  # replay
        for change in plan.steps:
            key = (change.step, change.item)
            old = before.get(key)
            assert change.new is (old is None)
            if len(happenings) == 1 and (old is None or old.state is not change.state):
                assert change.state in STEP_MOVES[old.state if old else None], (old, change)
            if old is not None:
                assert not old.state.ended, f"{key} had ended as {old.state}"
                assert change.attempt == old.attempt, "only a claim raises the attempt"
            elif not any(isinstance(happening, machine.StepTaken) for happening in happenings):
                assert change.attempt == 0, "only a claim raises the attempt"
            self.steps[key] = StepView(change.state, change.attempt, change.failures, change.lost, change.output)
        assert set(plan.ready) == {(c.step, c.item) for c in plan.steps if c.state is StepState.READY}
        if plan.run:
            assert plan.run.state in RUN_MOVES[self.run.state]
            self.ends += plan.run.state.ended
            self.run = replace(self.run, state=plan.run.state)
        return plan

    def those(self, state: StepState) -> list[tuple[str, int]]:
        return sorted(key for key, view in self.steps.items() if view.state is state)

    @precondition(lambda self: self.those(StepState.READY))
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.those(StepState.READY)))
        view = self.steps[key]
        self.steps[key] = replace(view, state=StepState.RUNNING, attempt=view.attempt + 1)
        self.claimed.append((key[0], view.attempt + 1))
        if self.run.state is RunState.PENDING:
            self.run = replace(self.run, state=RunState.RUNNING)

    def report(self, data: st.DataObject, step: str, attempt: int) -> machine.Happening:
        return data.draw(
            st.one_of(
                st.just(machine.StepSucceeded(step, attempt, {"n": attempt})),
                st.builds(
                    machine.StepFailed,
                    st.just(step),
                    st.just(attempt),
                    st.just({"code": "x", "message": "y"}),
                    st.booleans(),
                    st.floats(0, 0.999),
                    st.one_of(st.none(), st.floats(0, 10)),
                    st.booleans(),
                ),
                st.just(machine.StepLost(step, attempt, 2)),
                st.just(machine.StepReturned(step, attempt)),
            )
        )

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def report_one(self, data: st.DataObject) -> None:
        """On any claim there ever was: most are stale, and must be discarded."""
        step, attempt = data.draw(st.sampled_from(self.claimed))
        view = self.steps[step, NO_ITEM]
        owns = view.state is StepState.RUNNING and view.attempt == attempt
        report = self.report(data, step, attempt)
        plan = self.apply(report)
        unclear = isinstance(report, machine.StepLost) or not getattr(report, "certain", True)
        if owns and unclear and not machine.repeatable(self.graph.steps[step]):
            assert self.steps[step, NO_ITEM].state is StepState.UNKNOWN
        assert bool(plan.discarded) is not owns
        if not owns:
            assert not plan.steps
            assert plan.run is None

    @precondition(lambda self: self.those(StepState.RUNNING))
    @rule(data=st.data())
    def stride(self, data: st.DataObject) -> None:
        """One who ran a step goes on with what that made ready, and reports on all of it at once."""
        step, _ = data.draw(st.sampled_from(self.those(StepState.RUNNING)))
        before = Snapshot(self.run, dict(self.steps))
        deciding = machine.Deciding(self.graph, before, self.now)
        happenings: list[machine.Happening] = [machine.StepSucceeded(step, self.steps[step, NO_ITEM].attempt, {"n": 0})]
        deciding.take(happenings[0])
        while (ready := deciding.ready()) and data.draw(st.booleans()):
            taken = data.draw(st.sampled_from([change.step for change in ready]))
            happenings.append(machine.StepTaken(taken))
            deciding.take(happenings[-1])
            self.claimed.append((taken, 1))
            if not data.draw(st.booleans()):
                break  # it still runs
            happenings.append(self.report(data, taken, 1))
            deciding.take(happenings[-1])
        plan = self.apply(*happenings)
        assert plan == deciding.plan()  # step by step or at once
        again = machine.decide(self.graph, Snapshot(self.run, dict(self.steps)), happenings, self.now)
        assert not again.steps, "a stride that is handed over twice counts once"

    @precondition(lambda self: len(self.those(StepState.RUNNING)) > 1)
    @rule(data=st.data())
    def report_many(self, data: st.DataObject) -> None:
        keys = self.those(StepState.RUNNING)
        self.apply(*[self.report(data, step, self.steps[step, item].attempt) for step, item in keys])

    @precondition(lambda self: self.those(StepState.WAITING))
    @rule(data=st.data())
    def due(self, data: st.DataObject) -> None:
        step, _ = data.draw(st.sampled_from(self.those(StepState.WAITING)))
        self.apply(machine.StepDue(step))

    @precondition(lambda self: self.those(StepState.UNKNOWN))
    @rule(data=st.data(), outcome=st.sampled_from(["succeeded", "failed", "retry"]))
    def resolve(self, data: st.DataObject, outcome: str) -> None:
        step, _ = data.draw(st.sampled_from(self.those(StepState.UNKNOWN)))
        self.apply(machine.StepResolved(step, outcome, {"by": "hand"}, "ann"))

    @rule(what=st.sampled_from([machine.RunCancelled("ann"), machine.RunTimedOut()]))
    def stop(self, what: machine.Happening) -> None:
        ended = self.run.state.ended
        plan = self.apply(what)
        assert bool(plan.discarded) is ended

    @invariant()
    def a_run_ends_once_and_only_with_its_essential_steps(self) -> None:
        if not hasattr(self, "run"):
            return
        assert self.ends <= 1
        essential = [self.steps.get((n.id, NO_ITEM)) for n in self.graph.steps.values() if n.essential]
        if self.run.state is RunState.SUCCEEDED:
            assert all(view and view.state in (StepState.SUCCEEDED, StepState.SKIPPED) for view in essential)
        elif not self.run.state.ended:
            assert any(view is None or not view.state.ended for view in essential), "all ended, and the run goes on"
            assert any(view and not view.state.ended for view in essential), "nothing can ever move this run"

    @invariant()
    def a_step_starts_only_after_its_needs(self) -> None:
        for (step, _), view in getattr(self, "steps", {}).items():
            if view.state in (StepState.READY, StepState.RUNNING, StepState.WAITING, StepState.SUCCEEDED):
                needs = [self.steps[need, NO_ITEM].state for need in self.graph.steps[step].needs]
                assert all(state in (StepState.SUCCEEDED, StepState.SKIPPED) for state in needs)


Runs.TestCase.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
TestRuns = Runs.TestCase


def test_the_rest_between_attempts_grows_is_capped_and_never_shorter_than_asked() -> None:
    node = StepNode("s", "t.t", (), None, None, True, 1.0, Retry(5, backoff=1, factor=2, max_delay=10), True, False)
    assert [machine.rest(node.work, n, 0.9999999, None) for n in (1, 2, 3, 4, 60, 5000)] == [
        pytest.approx(seconds, rel=1e-3) for seconds in (1, 2, 4, 8, 10, 10)
    ]
    assert machine.rest(node.work, 1, 0.0, None) == 0.5
    assert machine.rest(node.work, 1, 0.0, 30.0) == 30.0


def test_a_failed_step_waits_until_it_is_due_and_keeps_its_error() -> None:
    node = StepNode("s", "t.t", (), None, None, True, 1.0, Retry(3), True, False)
    graph = Graph("w", "standard", None, None, {"s": node}, None, {"s": ()}, "")
    run = RunView("r", "w", None, "standard", RunState.RUNNING, {}, NOW)
    snapshot = Snapshot(run, {("s", NO_ITEM): StepView(StepState.RUNNING, attempt=1)})
    failed = machine.StepFailed("s", 1, {"code": "x", "message": "y"}, True, 0.0)
    plan = machine.decide(graph, snapshot, [failed], NOW)
    assert plan.steps[0].state is StepState.WAITING
    assert plan.steps[0].due_at == NOW + timedelta(seconds=0.5)
    assert plan.run is not None
    assert plan.run.state is RunState.WAITING
    assert [event.type for event in plan.events] == ["step.attempt_failed"]
