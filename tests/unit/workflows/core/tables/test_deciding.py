"""What a table decides with masks is what its cells say one by one."""

from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.workflows.core.tables.strategies import all_facts, documents, table_of
from workflows.core.tables.document import TableInvalid, read
from workflows.core.tables.table import FactsInvalid, Policy, Table
from workflows.core.tables.testing import passes

POLICIES = [str(policy) for policy in Policy]


def accepted(table: Table, facts: dict[str, Any]) -> list[int]:
    """The rules that match, asked cell by cell."""
    said = {name: date.fromisoformat(value) if name == "d" else value for name, value in facts.items()}
    return [
        at
        for at, rule in enumerate(table.rules)
        if all(passes(cell, said[one.name], said) is True for one, cell in zip(table.inputs, rule.when, strict=True))
    ]


@settings(max_examples=40)
@given(st.sampled_from(POLICIES).flatmap(documents))
def test_the_rules_that_match_are_those_whose_cells_all_accept(document: dict[str, Any]) -> None:
    table = table_of(document)
    for facts in all_facts(table):
        assert sorted(table.decide(facts).rules) == accepted(table, facts), facts


@settings(max_examples=40)
@given(st.sampled_from(POLICIES).flatmap(documents))
def test_the_policy_says_what_becomes_of_them(document: dict[str, Any]) -> None:
    table = table_of(document)
    for facts in all_facts(table)[::7]:
        match = accepted(table, facts)
        said = [table.rules[at].then[0].value for at in match]  # type: ignore[union-attr]
        by_priority = sorted(said, key=["z", "x", "y"].index)
        decision = table.decide(facts)
        match table.policy:
            case Policy.UNIQUE:
                assert (decision.output, bool(decision.fault)) == (said[0] if len(said) == 1 else None, len(said) > 1)
            case Policy.ANY:
                same = len(set(said)) == 1
                assert (decision.output, bool(decision.fault)) == (said[0] if same else None, len(set(said)) > 1)
            case Policy.FIRST:
                assert decision.output == (said[0] if said else None)
            case Policy.PRIORITY:
                assert decision.output == (by_priority[0] if said else None)
            case Policy.OUTPUT_ORDER:
                assert decision.output == (by_priority if said else None)
            case _:
                assert decision.output == (said or None)


def table(rules: list[Any], **more: Any) -> Table:
    document = {
        "inputs": [{"name": "n", "type": "number"}, {"name": "limit", "type": "number", "optional": True}],
        "outputs": [{"name": "out"}],
        "rules": [{"when": when, "then": {"out": out}} for when, out in rules],
    }
    return read({**document, **more})


def test_a_cell_may_speak_of_another_fact() -> None:
    made = table([({"n": "> limit"}, '"above"'), ({"n": "<= limit"}, '"within"')])
    assert made.decide({"n": 5, "limit": 4}).output == "above"
    assert made.decide({"n": 4, "limit": 4}).output == "within"
    # What is compared with null is null, and null is not true.
    assert made.decide({"n": 4, "limit": None}).output is None


@pytest.mark.parametrize(
    ("aggregation", "output"),
    [("SUM", 0.6), ("MIN", 0.1), ("MAX", 0.3), ("COUNT", 3), (None, [0.1, 0.2, 0.3])],
)
def test_what_is_collected_may_become_one_number(aggregation: str | None, output: Any) -> None:
    made = table([({}, 0.1), ({}, 0.2), ({}, 0.3)], hit_policy="COLLECT", aggregation=aggregation)
    assert made.decide({"n": 1}).output == output


def test_nothing_collected_is_null_but_counts_as_none() -> None:
    made = table([({"n": "> 5"}, 1)], hit_policy="COLLECT", aggregation="COUNT")
    assert made.decide({"n": 1}).output == 0
    assert table([({"n": "> 5"}, 1)], hit_policy="COLLECT", aggregation="SUM").decide({"n": 1}).output is None


@pytest.mark.parametrize(
    ("facts", "faults"),
    [
        ({}, {"n": "is missing"}),
        ({"n": None}, {"n": "is missing"}),
        ({"n": True}, {"n": "must be a number, not a boolean"}),
        ({"n": "5", "limit": []}, {"n": "must be a number, not a string", "limit": "must be a number, not a list"}),
        ({"n": float("nan")}, {"n": "NaN is not a number"}),
        ({"n": b"1"}, {"n": "must be a number, not a bytes"}),
    ],
)
def test_facts_that_the_table_does_not_take_are_all_named(facts: Any, faults: dict[str, str]) -> None:
    made = table([({"n": "> 1", "limit": "> 2"}, 1)])
    with pytest.raises(FactsInvalid) as refused:
        made.decide(facts)
    assert {fault.path: fault.message for fault in refused.value.faults} == faults


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"rules": []}, "rules", "must be a list that is not empty"),
        ({"hit_policy": "SOME"}, "hit_policy", "must be one of UNIQUE"),
        ({"hit_policy": "FIRST", "aggregation": "SUM"}, "aggregation", "COLLECT alone"),
        ({"hit_policy": "PRIORITY"}, "outputs", "needs `values`"),
        ({"inputs": [{"name": "n"}, {"name": "n"}]}, "inputs[1]", "stands twice"),
        ({"inputs": [{"name": "n", "typ": "number"}]}, "inputs[0].typ", "unknown key"),
        ({"inputs": [{"name": "n", "type": "numbr"}]}, "inputs[0].type", "must be one of"),
        ({"rules": [{"when": {"m": "1"}, "then": {"out": 1}}]}, "rules[0].when.m", "no such column"),
        ({"rules": [{"when": {"n": '"a"'}, "then": {"out": 1}}]}, "rules[0].when.n", "is not a number"),
        ({"rules": [{"when": {"n": "1 +"}, "then": {"out": 1}}]}, "rules[0].when.n", "'+'"),
        ({"rules": [{"when": {"n": "null"}, "then": {"out": 1}}]}, "rules[0].when.n", "not optional"),
        ({"rules": [{"then": {}}]}, "rules[0].then.out", "is missing"),
        ({"rules": [{"then": {"out": "board"}}]}, "rules[0].then.out", 'in quotes: "board"'),
        ({"rules": [{"then": {"out": ["x"]}}]}, "rules[0].then.out", "must be a text"),
        ({"rules": [{"id": "a", "then": {"out": 1}}, {"id": "a", "then": {"out": 1}}]}, "rules[1]", "stands twice"),
        ({"rules": "many"}, "rules", "must be a list"),
        ({"outputs": [{"name": ""}]}, "outputs[0].name", "1 to 200 characters"),
    ],
)
def test_a_bad_table_is_refused_with_the_place(change: Any, path: str, message: str) -> None:
    rules = [{"then": {"out": 1}}]
    document = {"inputs": [{"name": "n", "type": "number"}], "outputs": [{"name": "out"}], "rules": rules}
    with pytest.raises(TableInvalid) as refused:
        read({**document, **change})
    assert [fault for fault in refused.value.faults if fault.path == path and message in fault.message], refused.value


def test_all_faults_are_named_at_once() -> None:
    rules = [{"when": {"n": "<<"}, "then": {"out": "x y z("}}, {"when": {"q": 1}, "then": {}}]
    document = {"inputs": [{"name": "n"}], "outputs": [{"name": "out"}], "rules": rules}
    with pytest.raises(TableInvalid) as refused:
        read(document)
    assert {fault.path for fault in refused.value.faults} == {
        "rules[0].when.n", "rules[0].then.out", "rules[1].when.q", "rules[1].then.out",
    }  # fmt: skip


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["inputs", "outputs", "rules", "hit_policy", "aggregation", "x"]), _ANYTHING))
def test_any_document_is_read_or_refused(document: Any) -> None:
    with suppress(TableInvalid):
        read(document)
