"""Laws of fan-outs: whatever happens to the items, in whatever order, no more are open than may be, the numbers that
the machine decides on are those of the rows, and the join fires once."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.nodes import StepNode
from workflows.core import machine
from workflows.core.expressions import ITEM_ROOTS, ROOTS
from workflows.core.graph import Graph, Retry
from workflows.core.kinds.foreach import FanOut
from workflows.core.machine import NO_ITEM, ItemsEnded, RunView, Snapshot, StepView
from workflows.core.machine.items import FanView, ItemResult
from workflows.core.states import RunState, StepState
from workflows.core.templates import Template

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPEN = {StepState.READY, StepState.RUNNING}
ITEM_MOVES = {
    StepState.PENDING: {StepState.READY, StepState.CANCELLED},
    StepState.READY: {StepState.RUNNING, StepState.CANCELLED},
    StepState.RUNNING: set(StepState) - {StepState.PENDING, StepState.SKIPPED},
    StepState.WAITING: {StepState.PENDING, StepState.READY, StepState.CANCELLED},
    StepState.UNKNOWN: {StepState.PENDING, StepState.READY, StepState.SUCCEEDED, StepState.FAILED},
}


def node(id: str, *needs: str, fan_out: FanOut | None = None, with_: object = None, **how: object) -> StepNode:
    template = Template.check(with_, at="", roots=(*ROOTS, *ITEM_ROOTS))[0] if with_ is not None else None
    return StepNode(
        id, "t.t", needs, template, None, True, 1.0, Retry(max_attempts=2), bool(how.get("idempotent", True)),
        bool(how.get("transactional", False)), fan_out,
    )  # fmt: skip


class FanOuts(RuleBasedStateMachine):
    """`list` → `each` (a fan-out) → `after`, and `side`, which may end the run at any time."""

    @initialize(
        count=st.integers(0, 7),
        unfit=st.sets(st.integers(0, 6)),
        max_parallel=st.integers(1, 4),
        tolerated=st.one_of(st.integers(0, 3), st.fractions(0, 1)),
        idempotent=st.booleans(),
        transactional=st.booleans(),
    )
    def start(
        self,
        count: int,
        unfit: set[int],
        max_parallel: int,
        tolerated: int | Fraction,
        idempotent: bool,
        transactional: bool,
    ) -> None:
        how = FanOut(Template.compile("${{ input.items }}"), max_parallel, tolerated)
        each = node(
            "each", "list", fan_out=how, with_={"n": "${{ item.n }}", "i": "${{ index }}"}, idempotent=idempotent,
            transactional=transactional,
        )  # fmt: skip
        nodes = {"list": node("list"), "side": node("side"), "each": each, "after": node("after", "each")}
        dependents = {"list": ("each",), "side": (), "each": ("after",), "after": ()}
        self.graph = Graph("w", "standard", None, None, nodes, None, dependents, "")
        self.how, self.count = how, count
        values = [{} if n in unfit else {"n": n} for n in range(count)]
        self.run = RunView("r", "w", None, "standard", RunState.PENDING, {"items": values}, NOW)
        self.rows: dict[tuple[str, int], StepView] = {}
        self.inputs: dict[int, object] = {}
        self.joins = 0
        self.apply(machine.RunStarted())

    # --- what the store does ---

    def apply(self, *happenings: machine.Happening, seen: frozenset[int] = frozenset()) -> machine.Plan:
        """Decide on what the store would load: rows of steps, how many items there are, the items of `happenings`.

        seen: other items that the worker happens to know.
        """
        touched = {getattr(happening, "item", NO_ITEM) for happening in happenings} | seen
        known = {key: view for key, view in self.rows.items() if key[1] == NO_ITEM or key[1] in touched}
        row = self.rows.get(("each", NO_ITEM))
        if row and row.state is StepState.RUNNING:
            known["each", NO_ITEM] = replace(row, fan=self.counted())
        snapshot = Snapshot(self.run, known)
        plan = machine.decide(self.graph, snapshot, happenings, NOW)
        assert plan == machine.decide(self.graph, snapshot, happenings, NOW), "a replay decides the same"
        for change in plan.steps:
            self.write(change, alone=len(happenings) == 1)
        for step, count in plan.releases:
            waiting = [key for key, view in sorted(self.rows.items()) if view.state is StepState.PENDING]
            waiting = [key for key in waiting if key not in {(c.step, c.item) for c in plan.steps}]
            assert len(waiting) >= count, "more are released than wait"
            for key in waiting[:count]:
                assert key[0] == step
                self.rows[key] = replace(self.rows[key], state=StepState.READY)
        if plan.run:
            self.run = replace(self.run, state=plan.run.state)
        for step in plan.cancels:
            self.cancel(step)
        if plan.run and plan.run.state.ended:
            idle = {StepState.PENDING, StepState.READY, StepState.WAITING}
            assert not any(view.state in idle for view in self.items().values()), "it ended with items to be begun"
        row = self.rows.get(("each", NO_ITEM))
        going = bool(row and row.state is StepState.RUNNING)
        assert ("each" in plan.fans) is going
        if going:
            assert plan.fans["each"] == self.counted()
        for step in plan.joins:
            self.join(step)
        return plan

    def write(self, change: machine.StepChange, *, alone: bool) -> None:
        key = (change.step, change.item)
        old = self.rows.get(key)
        assert change.new is (old is None)
        if old is not None:
            assert not old.state.ended, f"{key} had ended as {old.state}"
            assert change.attempt == old.attempt, "only a claim raises the attempt"
            if alone and change.item != NO_ITEM and old.state is not change.state:
                assert change.state in ITEM_MOVES[old.state], (old, change)
        elif change.item != NO_ITEM and change.state is not StepState.FAILED:
            assert change.input == {"n": change.item, "i": change.item}
        self.rows[key] = StepView(change.state, change.attempt, change.failures, change.lost, change.output)

    def cancel(self, step: str) -> None:
        repeatable = machine.repeatable(self.graph.steps[step])
        idle = {StepState.PENDING, StepState.READY, StepState.WAITING} | ({StepState.RUNNING} if repeatable else set())
        for key, view in self.rows.items():
            if key[0] == step and key[1] != NO_ITEM and view.state in idle:
                self.rows[key] = replace(view, state=StepState.CANCELLED)

    def join(self, step: str) -> None:
        self.joins += 1
        results = tuple(ItemResult(n, view.state, view.output) for n, view in sorted(self.items().items()))
        assert not self.apply(ItemsEnded(step, results)).discarded
        assert self.apply(ItemsEnded(step, results)).discarded, "a second join does not count"
        failed = sum(result.state is StepState.FAILED for result in results)
        row = self.rows[step, NO_ITEM]
        assert row.state is (StepState.SUCCEEDED if self.how.tolerates(failed, len(results)) else StepState.FAILED)
        assert row.output["results"] == [result.output for result in results]
        assert row.output["failed"] == failed

    def items(self) -> dict[int, StepView]:
        return {item: view for (_, item), view in self.rows.items() if item != NO_ITEM}

    def counted(self) -> FanView:
        return FanView.of(Counter(view.state for view in self.items().values()))

    def those(self, *states: StepState) -> list[tuple[str, int]]:
        return sorted(key for key, view in self.rows.items() if view.state in states and key != ("each", NO_ITEM))

    # --- what happens ---

    @precondition(lambda self: self.those(StepState.READY))
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.those(StepState.READY)))
        view = self.rows[key]
        self.rows[key] = replace(view, state=StepState.RUNNING, attempt=view.attempt + 1)
        if self.run.state is RunState.PENDING:
            self.run = replace(self.run, state=RunState.RUNNING)

    @precondition(lambda self: self.those(StepState.RUNNING))
    @rule(data=st.data())
    def report(self, data: st.DataObject) -> None:
        keys = data.draw(st.lists(st.sampled_from(self.those(StepState.RUNNING)), unique=True, min_size=1))
        happenings = []
        for step, item in keys:
            attempt = self.rows[step, item].attempt
            happenings.append(
                data.draw(
                    st.one_of(
                        st.just(machine.StepSucceeded(step, attempt, {"n": item}, item)),
                        st.builds(
                            machine.StepFailed,
                            st.just(step),
                            st.just(attempt),
                            st.just({"code": "x", "message": "y"}),
                            st.booleans(),
                            st.just(0.0),
                            certain=st.booleans(),
                            item=st.just(item),
                        ),
                        st.just(machine.StepLost(step, attempt, 2, item)),
                        st.just(machine.StepReturned(step, attempt, item)),
                    )
                )
            )
        seen = frozenset(item for _, item in self.those(StepState.RUNNING)) if data.draw(st.booleans()) else frozenset()
        self.apply(*happenings, seen=seen)

    @precondition(lambda self: self.those(StepState.WAITING))
    @rule(data=st.data())
    def due(self, data: st.DataObject) -> None:
        keys = data.draw(st.lists(st.sampled_from(self.those(StepState.WAITING)), unique=True, min_size=1))
        self.apply(*[machine.StepDue(step, item) for step, item in keys])

    @precondition(lambda self: self.those(StepState.UNKNOWN))
    @rule(data=st.data(), outcome=st.sampled_from(["succeeded", "failed", "retry"]))
    def resolve(self, data: st.DataObject, outcome: str) -> None:
        step, item = data.draw(st.sampled_from(self.those(StepState.UNKNOWN)))
        self.apply(machine.StepResolved(step, outcome, {"by": "hand"}, "ann", item=item))

    @precondition(lambda self: self.items())
    @rule(data=st.data())
    def report_late(self, data: st.DataObject) -> None:
        """A former owner's report, and one on an item that there is not."""
        item = data.draw(st.sampled_from([*self.items(), 99]))
        attempt = self.items()[item].attempt if item in self.items() else 1
        before = dict(self.rows)
        plan = self.apply(machine.StepSucceeded("each", attempt - 1, {}, item))
        assert plan.discarded
        assert self.rows == before

    @precondition(lambda self: self.items())
    @rule()
    def join_too_early_or_too_late(self) -> None:
        before = dict(self.rows)
        assert self.apply(ItemsEnded("each", ())).discarded
        assert self.rows == before

    @rule(really=st.integers(0, 9), what=st.sampled_from([machine.RunCancelled("ann"), machine.RunTimedOut()]))
    def stop(self, really: int, what: machine.Happening) -> None:
        if really == 0:
            ended = self.run.state.ended
            assert bool(self.apply(what).discarded) is ended

    # --- what always holds ---

    @invariant()
    def no_more_are_open_than_may_be_and_no_place_is_empty_while_some_wait(self) -> None:
        row = getattr(self, "rows", {}).get(("each", NO_ITEM))
        if row is None or row.state is not StepState.RUNNING:
            return
        fan = self.counted()
        assert fan.active <= self.how.max_parallel
        assert fan.active == self.how.max_parallel or not fan.pending
        assert fan.total == self.count

    @invariant()
    def a_fan_out_ends_once_and_with_its_last_item(self) -> None:
        if not hasattr(self, "rows"):
            return
        assert self.joins <= 1
        row = self.rows.get(("each", NO_ITEM))
        if row and row.state in (StepState.SUCCEEDED, StepState.FAILED):
            assert all(view.state.ended for view in self.items().values())
        if row and row.state is StepState.RUNNING:
            assert not self.counted().over, "nothing can ever move this fan-out"

    @invariant()
    def the_run_waits_only_when_nothing_can_go_on_by_itself(self) -> None:
        if not hasattr(self, "rows") or self.run.state.ended:
            return
        moves = bool(self.those(StepState.READY, StepState.RUNNING))
        assert moves or self.run.state is RunState.WAITING
        assert not (moves and self.run.state is RunState.WAITING)


FanOuts.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestFanOuts = FanOuts.TestCase
