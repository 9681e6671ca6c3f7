"""Gaps, clashes and rules that are never reached: all that there are, and none that are not."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.workflows.core.tables.strategies import all_facts, documents, table_of
from workflows.core.tables import values
from workflows.core.tables.analysis import Report, analyse
from workflows.core.tables.document import read
from workflows.core.tables.feel import read_tests
from workflows.core.tables.testing import passes


def lies_in(tests: dict[str, str], facts: dict[str, Any]) -> bool:
    said = {name: values.read_date(value) if name == "d" else value for name, value in facts.items()}
    return all(passes(read_tests(test), said[name], {}) is True for name, test in tests.items())


@settings(max_examples=40)
@given(st.sampled_from(["UNIQUE", "FIRST"]).flatmap(documents))
def test_a_case_is_in_a_gap_just_if_no_rule_decides_it(document: dict[str, Any]) -> None:
    table = table_of(document)
    report = analyse(table)
    assert report.is_complete
    for facts in all_facts(table):
        assert any(lies_in(gap.tests, facts) for gap in report.gaps) is not bool(table.decide(facts).rules), facts
    for gap in report.gaps:
        assert not table.decide(gap.example).rules, gap


@settings(max_examples=40)
@given(st.sampled_from(["UNIQUE", "ANY"]).flatmap(documents))
def test_two_rules_clash_just_if_a_case_matches_both(document: dict[str, Any]) -> None:
    table = table_of(document)
    report = analyse(table)
    at = {rule.id: place for place, rule in enumerate(table.rules)}
    named = {frozenset((at[clash.first], at[clash.second])) for clash in report.clashes}
    for clash in report.clashes:
        decision = table.decide(clash.case.example)
        assert {at[clash.first], at[clash.second]} <= set(decision.rules)
        assert decision.fault
    for facts in all_facts(table):
        decision = table.decide(facts)
        if decision.fault:
            pairs = [frozenset((one, other)) for one in decision.rules for other in decision.rules if one != other]
            assert any(pair in named for pair in pairs), facts


@settings(max_examples=40)
@given(st.sampled_from(["FIRST", "PRIORITY"]).flatmap(documents))
def test_a_rule_is_named_as_never_reached_just_if_it_never_decides(document: dict[str, Any]) -> None:
    table = table_of(document)
    deciding = {table.rules[found.rules[0]].id for facts in all_facts(table) if (found := table.decide(facts)).rules}
    assert set(analyse(table).unreached) == {rule.id for rule in table.rules} - deciding


def test_a_rule_that_refers_to_other_facts_is_named_as_unsure() -> None:
    table = read(
        {
            "inputs": [{"name": "n", "type": "number"}, {"name": "limit", "type": "number"}],
            "outputs": [{"name": "out"}],
            "rules": [{"when": {"n": "> limit"}, "then": {"out": 1}}, {"when": {"n": "> 5"}, "then": {"out": 2}}],
        }
    )
    report = analyse(table)
    assert report.unsure == ["1"]
    assert [(gap.tests["n"], gap.tests["limit"]) for gap in report.gaps] == [("<= 5", "-")]
    assert [(clash.first, clash.second) for clash in report.clashes] == [("1", "2")]


def stretch(at: int, of: int) -> str:
    """One of the stretches that all numbers are cut into."""
    return f"[{at}..{at + 1})" if 0 < at < of - 1 else "< 1" if at == 0 else f">= {at}"


@pytest.mark.parametrize("of", [3, 4, 5, 6, 7])
def test_planted_gaps_and_overlaps_are_found_and_none_is_invented(of: int) -> None:
    """A table that covers a grid: each time without one of its cells, and with one of them twice. 200 times each."""
    grid = [(at, word, flag) for at in range(of) for word in ("a", "b", "c", "d") for flag in ("true", "false")]
    whens = [{"n": stretch(at, of), "w": f'"{word}"', "f": flag} for at, word, flag in grid]
    inputs = [
        {"name": "n", "type": "number"},
        {"name": "w", "type": "string", "values": ["a", "b", "c", "d"]},
        {"name": "f", "type": "boolean"},
    ]

    def report(kept: list[dict[str, str]]) -> Report:
        rules = [{"id": str(at), "when": when, "then": {"out": at}} for at, when in enumerate(kept)]
        return analyse(read({"inputs": inputs, "outputs": [{"name": "out"}], "rules": rules}))

    whole = report(whens)
    assert (whole.gaps, whole.clashes, whole.is_complete) == ([], [], True)
    for planted, when in enumerate(whens):
        without = report(whens[:planted] + whens[planted + 1 :])
        assert ([gap.tests for gap in without.gaps], without.clashes) == ([when], [])
        twice = report([*whens, when])
        assert [(one.first, one.second, one.case.tests) for one in twice.clashes] == [
            (str(planted), str(len(whens)), when)
        ]
        assert twice.gaps == []


def test_a_tangled_table_ends_in_time_and_says_so() -> None:
    inputs = [{"name": f"n{at}", "type": "number"} for at in range(30)]
    rules = [
        {"when": {f"n{at}": f"> {(n * 7 + at * 3) % 11}" for at in range(30) if (n + at) % 3}, "then": {"out": n}}
        for n in range(60)
    ]
    report = analyse(read({"inputs": inputs, "outputs": [{"name": "out"}], "rules": rules, "hit_policy": "FIRST"}))
    assert len(report.gaps) <= 200
    assert not report.is_complete


def test_a_large_and_tangled_table_is_read_and_looked_at_within_its_bounds() -> None:
    """Rules that exclude a value of each input. With a thousand of six inputs it took two minutes without bounds."""
    names = "abcd"
    rules = [
        {"when": {name: f"not({(at * 7 + place * 13) % 997})" for place, name in enumerate(names)}, "then": {"out": at}}
        for at in range(500)
    ]
    document = {
        "inputs": [{"name": name, "type": "number"} for name in names],
        "outputs": [{"name": "out"}],
        "rules": rules,
    }
    found = analyse(read(document))
    assert not found.is_complete
    assert found.clashes
    # A case may be made of a thousand stretches: not all of them are written.
    assert all(len(text) < 2_000 for clash in found.clashes for text in clash.case.tests.values())


def test_all_pairs_of_a_thousand_rules_are_compared() -> None:
    rules = [{"when": {"n": str(at)}, "then": {"out": at}} for at in range(1_000)]
    rules[990]["when"] = {"n": "[5..6]"}
    table = read({"inputs": [{"name": "n", "type": "number"}], "outputs": [{"name": "out"}], "rules": rules})
    assert [(one.first, one.second) for one in analyse(table).clashes] == [("6", "991"), ("7", "991")]
