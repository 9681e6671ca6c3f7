"""Expressions are bounded for a decision, not each by itself: Note [Budgets] in `core/cost`."""

import time
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest

from workflows.core import definition, machine
from workflows.core.cost import DECISION_UNITS, MAX_VALUE_BYTES, MAX_VALUE_DEPTH, Budget
from workflows.core.graph import Graph
from workflows.core.machine import NO_ITEM, Plan, RunStarted, RunView, Snapshot, StepSucceeded, StepView
from workflows.core.states import RunState, StepState
from workflows.core.triggers import Failed, ask

NOW = datetime(2026, 11, 25, tzinfo=UTC)
#: as much as one expression may read and do: about 0.05 s
COSTLY = "${{ input.many.exists(x, x == 'a' || x == 'b' || input.many.size() == 1) }}"
MANY = [f"{n:08}" for n in range(3_000)]


class Step:
    name, input_schema, output_schema, idempotent, transactional, timeout, retry = "s", {}, {}, True, False, 30.0, None


def graph(steps: dict[str, Any], output: Any = None) -> Graph:
    document = {"name": "w", "steps": steps, **({"output": output} if output is not None else {})}
    return definition.validate(document, {"s": Step()})  # type: ignore[dict-item]


def start(of: Graph, input: Any, budget: Budget | None = None) -> Plan:
    run = RunView("r", "w", None, "standard", RunState.PENDING, input, NOW)
    return machine.decide(of, Snapshot(run, {}), [RunStarted()], NOW, budget)


def error_of(plan: Plan) -> str:
    assert plan.run is not None
    assert plan.run.state is RunState.FAILED
    return str((plan.run.error or {})["message"])


def test_a_foreach_over_2000_items_takes_no_longer_than_a_decision_may() -> None:
    of = graph({"each": {"uses": "s", "foreach": "${{ input.items }}", "with": {"found": COSTLY, "n": "${{ item }}"}}})
    budget = Budget()
    began = time.process_time()
    plan = start(of, {"items": list(range(2_000)), "many": MANY}, budget)

    assert time.process_time() - began < 3
    assert "all expressions of this decision together would take too long" in error_of(plan)
    assert budget.units < 2 * DECISION_UNITS


def test_many_steps_take_no_longer_than_a_decision_may() -> None:
    of = graph({f"s{n}": {"uses": "s", "with": {"found": COSTLY}} for n in range(100)})
    began = time.process_time()
    plan = start(of, {"many": MANY})

    assert time.process_time() - began < 3
    assert "together" in error_of(plan)


def test_ordinary_items_are_all_begun() -> None:
    of = graph(
        {
            "each": {
                "uses": "s",
                "foreach": "${{ input.items }}",
                "with": {"id": "${{ item.id }}", "high": "${{ item.score > 7.0 && item.id.startsWith('CVE-') }}"},
            }
        }
    )
    plan = start(of, {"items": [{"id": f"CVE-{n}", "score": n / 1000} for n in range(10_000)]})
    assert len(plan.steps) == 10_001
    assert not any(change.error for change in plan.steps)


AMPLIFIED: dict[str, tuple[dict[str, Any], Any]] = {
    "a list of references": ({"a": {"uses": "s", "with": {"x": ["${{ input }}"] * 500}}}, None),
    "a text of references": ({"a": {"uses": "s", "with": {"x": "${{ input }} " * 500}}}, None),
    "many steps": ({f"a{n}": {"uses": "s", "with": {"x": ["${{ input }}"] * 20}} for n in range(30)}, None),
    "items": ({"a": {"uses": "s", "foreach": list(range(500)), "with": {"x": "${{ input }}"}}}, None),
    "a list of a foreach": (
        {"a": {"uses": "s", "foreach": ["${{ input }}"] * 500, "with": {"x": "${{ item }}"}}},
        None,
    ),
    "an output": ({"a": {"uses": "s", "if": "false"}}, {"x": ["${{ input }}"] * 500}),
    "constants of items": ({"a": {"uses": "s", "foreach": "${{ input.n }}", "with": {"x": "y" * 20_000}}}, None),
}


@pytest.mark.parametrize("name", AMPLIFIED)
def test_no_definition_makes_much_of_little(name: str) -> None:
    steps, output = AMPLIFIED[name]
    of = graph(steps, output)
    value = {"text": ["x" * 1_000] * 500, "n": list(range(5_000))}
    tracemalloc.start()
    plan = start(of, value)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert "bytes" in error_of(plan)
    assert peak < 80_000_000


def test_a_value_that_is_large_and_small_enough_is_handed_on() -> None:
    of = graph({"a": {"uses": "s", "with": {"x": "${{ input }}", "y": "${{ input }}"}}})
    plan = start(of, {"text": "x" * (MAX_VALUE_BYTES // 2 - 1_000)})
    assert plan.ready == (("a", NO_ITEM),)


def test_what_is_nested_too_deeply_to_be_written_later_is_refused_now() -> None:
    value: Any = 1
    for _ in range(MAX_VALUE_DEPTH):
        value = [value]
    of = graph({"a": {"uses": "s", "with": {"x": "${{ input.v }}"}}})

    assert start(of, {"v": value}).ready
    assert "nested more than" in error_of(start(of, {"v": [value]}))


def test_what_is_decided_together_is_what_is_decided_one_by_one() -> None:
    """Or a worker that goes on by itself would decide something else than the writer behind it."""
    chain = {f"s{n}": {"uses": "s", "needs": [f"s{n - 1}"] if n else [], "with": {"x": COSTLY}} for n in range(6)}
    of = graph(chain)
    run = RunView("r", "w", None, "standard", RunState.RUNNING, {"many": MANY}, NOW)
    steps = {("s0", NO_ITEM): StepView(StepState.RUNNING, 1)}
    deciding = machine.Deciding(of, Snapshot(run, steps), NOW)
    for n in range(5):
        deciding.take(StepSucceeded(f"s{n}", 1, {}))
        deciding.take(machine.StepTaken(f"s{n + 1}"))
    assert not deciding.plan().discarded
    assert deciding.plan().run is None


def test_errors_of_many_items_name_near_keys_for_the_first_of_them_only() -> None:
    of = graph({"a": {"uses": "s", "foreach": "${{ input.n }}", "with": {"x": "${{ input.many.key_1_ }}"}}})
    began = time.process_time()
    plan = start(of, {"n": list(range(3_000)), "many": {f"key_{n}": n for n in range(20_000)}})

    assert time.process_time() - began < 3
    messages = [change.error["message"] for change in plan.steps if change.item != NO_ITEM and change.error]
    assert "did you mean" in messages[0]
    assert "did you mean" not in messages[-1]


def test_the_rules_of_an_event_are_bounded_together() -> None:
    rule = {"event": "t", "input": {"found": [COSTLY.replace("input.", "event.data.")] * 200}}
    document = {"name": "w", "on": rule, "steps": {"a": {"uses": "s"}}}
    rules = definition.validate(document, {"s": Step()}).rules  # type: ignore[dict-item]
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"many": MANY}}
    began = time.process_time()
    asked = ask(rules, event)

    assert time.process_time() - began < 3
    assert isinstance(asked, Failed)
    assert "together" in asked.faults[0].message
