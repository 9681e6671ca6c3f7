"""Laws of a wait for several things: it ends with the first, or with the last, and never twice; what came is told in
the order of the definition; what had not come is withdrawn."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.core import machine
from workflows.core.definition import validate
from workflows.core.graph import Graph
from workflows.core.machine import NO_ITEM, RunView, Signal, Snapshot, StepView
from workflows.core.states import RunState, StepState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("a", "b", "c")


def graph_of(wait: Any) -> Graph:
    return validate({"name": "w", "steps": {"w": {"wait": wait}}, "output": "${{ steps.w.output }}"}, {})


class Step:
    """One step, and what the store does with it."""

    def __init__(self, wait: Any, kept: tuple[str, ...] = ()) -> None:
        self.graph, self.now = graph_of(wait), NOW
        self.run = RunView("r", "w", None, "standard", RunState.PENDING, {}, NOW)
        self.view: StepView | None = None
        self.due_at: datetime | None = None
        self.kept = [Signal(f"k{name}", name, {"early": name}, "ann") for name in kept]
        self.taken: list[str] = []
        self.apply(machine.RunStarted())

    def apply(self, happening: machine.Happening) -> bool:
        steps = {("w", NO_ITEM): self.view} if self.view else {}
        plan = machine.decide(self.graph, Snapshot(self.run, steps), [happening], self.now)
        assert plan == machine.decide(self.graph, Snapshot(self.run, steps), [happening], self.now)
        for change in plan.steps:
            assert self.view is None or not self.view.state.ended, "it ended twice"
            self.view, self.due_at = StepView(change.state, output=change.output), change.due_at
            self.error = change.error
        if plan.run:
            self.run = replace(self.run, state=plan.run.state)
        self.taken += [event.detail["id"] for event in plan.events if event.type == "step.signalled"]
        for step, name in plan.asks:
            signal = next((one for one in self.kept if one.name == name), None)
            if signal is not None and self.state is StepState.WAITING:
                self.kept.remove(signal)
                assert self.apply(machine.StepSignalled(step, signal)), "a signal that was kept is lost"
        return not plan.discarded

    @property
    def state(self) -> StepState:
        assert self.view is not None
        return self.view.state

    @property
    def output(self) -> Any:
        assert self.view is not None
        return self.view.output

    def signal(self, name: str, payload: Any = None) -> bool:
        return self.apply(machine.RunSignalled(Signal(f"s-{name}-{len(self.taken)}", name, payload, "ann")))

    def come_due(self) -> bool:
        assert self.due_at is not None
        self.now = max(self.now, self.due_at)
        return self.apply(machine.StepDue("w"))


#: minutes of a time, or the name of a signal
PARTS = st.lists(st.one_of(st.integers(1, 5), st.sampled_from(NAMES)), min_size=1, max_size=6, unique=True)


@settings(max_examples=150, deadline=None)
@given(
    parts=PARTS,
    every=st.booleans(),
    fixed=st.booleans(),
    kept=st.sets(st.sampled_from(NAMES)),
    what=st.lists(st.sampled_from([*NAMES, "due"]), max_size=12),
)
def test_it_ends_with_the_first_or_with_the_last(
    parts: list[Any], every: bool, fixed: bool, kept: set[str], what: list[str]
) -> None:
    def part(one: Any) -> dict[str, Any]:
        if isinstance(one, str):
            return {"signal": one}
        at = (NOW + timedelta(minutes=one)).isoformat()
        return {"until": at} if fixed else {"for": f"{one}m"}

    step = Step({"all" if every else "any": [part(one) for one in parts]}, tuple(sorted(kept)))
    # The signals that were kept are taken in the order of the definition, until it ends.
    came: list[Any] = [one for one in parts if one in kept]
    if not every:
        came = came[:1]
    for one in ["", *what]:
        over = len(came) == len(parts) if every else bool(came)
        assert (step.state is StepState.SUCCEEDED) is over
        assert (step.due_at is None) is (over or all(isinstance(p, str) or p in came for p in parts))
        if not one:
            continue
        if one == "due":
            if step.due_at is None:
                continue
            assert step.come_due()
            came += [
                part
                for part in parts
                if part not in came and isinstance(part, int) and NOW + timedelta(minutes=part) <= step.now
            ]
        else:
            wanted = not over and one in parts and one not in came
            assert step.signal(one, {"n": one}) is wanted
            if wanted:
                came.append(one)
    over = len(came) == len(parts) if every else bool(came)
    assert (step.state is StepState.SUCCEEDED) is over
    if not over:
        assert step.run.state is RunState.WAITING
        return
    assert step.run.state is RunState.SUCCEEDED
    if every:
        assert [result["signal"] for result in step.output["results"]] == [
            one if isinstance(one, str) else None for one in parts
        ]
    else:
        assert parts[step.output["first"]] in came
        assert step.output["signal"] == (came[0] if isinstance(came[0], str) else None)
    assert len(set(step.taken)) == len(step.taken)


@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_a_time_limit_ends_the_wait_and_never_counts_as_an_answer(every: bool, fails: bool) -> None:
    way = "all" if every else "any"
    wait = {way: [{"signal": "a"}, {"signal": "b"}, {"for": "3h"}], "timeout": "2h"}
    step = Step(wait | {"on_timeout": "fail" if fails else "continue"})
    if every:
        assert step.signal("b", 7)
    assert step.due_at == NOW + timedelta(hours=2)
    assert step.come_due()
    assert step.state is (StepState.FAILED if fails else StepState.SUCCEEDED)
    assert step.output["timed_out"] is True
    if every:
        assert step.output["results"] == [None, {"signal": "b", "payload": 7, "by": "ann"}, None]
    else:
        assert step.output["first"] is None
    if fails:
        assert step.error is not None
        assert step.error["code"] == "wait_timed_out"
        assert 'the signal "a"' in step.error["message"]


def test_a_pause_moves_what_counts_from_a_beginning_and_no_moment_of_the_calendar() -> None:
    until = NOW + timedelta(hours=5)
    step = Step({"all": [{"for": "1h"}, {"until": until.isoformat()}, {"signal": "a"}], "timeout": "9h"})
    assert step.due_at == NOW + timedelta(hours=1)
    step.now += timedelta(hours=3)
    assert step.apply(machine.RunResumed(3 * 3600.0))
    assert step.due_at == NOW + timedelta(hours=4)
    assert step.come_due()
    assert step.due_at == until
    assert step.come_due()
    assert step.due_at == NOW + timedelta(hours=12)


def test_what_it_waits_for_is_one_sentence() -> None:
    step = Step({"all": [{"signal": "a"}, {"signal": "b"}, {"for": "1h"}]})
    step.signal("a")
    assert step.view is not None
    assert step.graph.steps["w"].how.explain(step.view, step.due_at) == (
        'waits for the signal "b" and the moment 2026-01-01T01:00:00+00:00; '
        "the next moment is 2026-01-01T01:00:00+00:00"
    )
    assert step.graph.level == 3


def test_a_time_that_is_none_fails_the_step() -> None:
    step = Step({"any": [{"signal": "a"}, {"for": "${{ -5 }}"}]})
    assert step.error is not None
    assert step.error["message"].startswith("wait.any[1].for: ")
