"""Decision tables: the first row that matches, and what validation finds."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.library.clearance.table import BadFact, Table, TableInvalid

FIELDS = {
    "severity": {"type": "word", "values": ["low", "medium", "high"]},
    "loss": {"type": "number", "min": 0},
    "records": {"type": "integer"},
    "ransomware": {"type": "flag"},
}


def row(name: str, **when: Any) -> dict[str, Any]:
    return {"id": name, "when": when, "then": {"level": name, "urgency": "now", "sla_hours": 1, "approvers": ["a"]}}


def table(*rows: dict[str, Any]) -> Table:
    return Table.of({"fields": FIELDS, "rows": list(rows)})


def faults(*rows: dict[str, Any], fields: Any = FIELDS) -> list[str]:
    with pytest.raises(TableInvalid) as error:
        Table.of({"fields": fields, "rows": list(rows)})
    return [str(fault) for fault in error.value.faults]


def test_the_first_row_that_matches_decides() -> None:
    made = table(row("a", severity={"at_least": "medium"}, loss={"gte": 10}), row("b", loss={"gte": 10}), row("c"))
    assert made.decide({"severity": "high", "loss": 10}).id == "a"
    assert made.decide({"severity": "low", "loss": 10.5}).id == "b"
    assert made.decide({"severity": "high", "loss": 9.99}).id == "c"


def test_a_fact_that_is_not_known_matches_only_where_nothing_is_asked_of_it() -> None:
    made = table(row("a", loss={"gte": 0}), row("b", ransomware=False), row("c"))
    assert made.decide({"ransomware": False}).id == "b"
    assert made.decide({}).id == "c"


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"severity": "apocalyptic"}, "severity must be one of"),
        ({"loss": "much"}, "loss must be a number"),
        ({"loss": True}, "loss must be a number"),
        ({"loss": -1}, "loss must not be below 0"),
        ({"loss": float("nan")}, "loss must be a number"),
        ({"records": 1.5}, "records must be a whole number"),
        ({"ransomware": 1}, "ransomware must be true or false"),
        ({"colour": "red"}, "no field 'colour'"),
    ],
)
def test_a_fact_of_the_wrong_kind_is_an_error_and_never_a_decision(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(BadFact, match=message):
        table(row("a")).decide(facts)


def test_rows_that_facts_not_known_keep_from_deciding_are_named_with_these_facts() -> None:
    decisions = table(
        row("dear", loss={"gte": 100}),
        row("high-dear", severity="high", loss={"gte": 10}),
        row("high", severity="high"),
        row("rest"),
    )

    def could_be(**facts: Any) -> tuple[list[str], list[str]]:
        return decisions.could_be(facts, decisions.decide(facts))

    assert could_be(severity="high") == (["dear", "high-dear"], ["loss"])
    assert could_be(severity="low") == (["dear"], ["loss"])
    assert could_be(loss=50) == (["high-dear", "high"], ["severity"])
    assert could_be(severity="high", loss=5) == ([], [])
    assert could_be() == (["dear", "high-dear", "high"], ["loss", "severity"])


def test_a_row_behind_one_that_takes_all_its_cases_is_reported() -> None:
    assert faults(row("a", loss={"gte": 5}), row("b", loss={"gt": 5}, ransomware=True), row("c")) == [
        "rows[1]: row 'b' is never reached: 'a' decide all of its cases"
    ]


def test_a_row_that_several_rows_cover_together_is_reported() -> None:
    found = faults(row("a", loss={"lt": 5}), row("b", loss={"gte": 5}), row("c", loss={"gte": 0, "lte": 100}), row("d"))
    assert found == ["rows[2]: row 'c' is never reached: 'a', 'b' decide all of its cases"]


def test_the_gap_of_a_single_value_keeps_a_row_reachable() -> None:
    made = table(row("a", loss={"lt": 5}), row("b", loss={"gt": 5}), row("c", loss={"gte": 0}), row("d"))
    assert made.decide({"loss": 5}).id == "c"


def test_between_two_whole_numbers_there_is_none() -> None:
    assert faults(row("a", records={"gt": 1, "lt": 2}), row("b")) == ["rows[0].when.records: no value can fulfil it"]
    table(row("a", loss={"gt": 1, "lt": 2}), row("b"))


def test_a_case_that_no_row_decides_is_reported_with_an_example() -> None:
    found = faults(row("a", severity={"at_least": "medium"}), row("b", severity="low", ransomware=True))
    assert len(found) == 1
    assert "no row decides the case" in found[0]


def test_overlapping_rows_with_different_outcomes_are_told() -> None:
    made = table(
        row("a", loss={"gte": 5}), row("b", ransomware=True), row("c", severity="low", loss={"lt": 5}), row("rest")
    )
    assert [(one.first, one.second) for one in made.overlaps()] == [("a", "b"), ("b", "c")]


def test_every_fault_of_a_table_is_named_with_its_place() -> None:
    found = faults(
        {"id": "a", "when": {"colour": "red", "severity": "huge"}, "then": {"level": "x"}},
        {"when": {"loss": {"around": 5}}, "then": {"level": "x", "urgency": "y", "sla_hours": -1, "boss": "z"}},
        "not a row",  # type: ignore[arg-type]
    )
    assert [fault.split(":")[0] for fault in found] == [
        "rows[0].when.colour",
        "rows[0].when.severity",
        "rows[0].then.urgency",
        "rows[0].then.sla_hours",
        "rows[1].id",
        "rows[1].when.loss",
        "rows[1].then.boss",
        "rows[1].then.sla_hours",
        "rows[2]",
    ]
    assert faults(fields={}) == [
        "fields: must be an object of 1 to 20 fields",
        "rows: must be a list that is not empty",
    ]


SMALL = {"w": {"type": "word", "values": ["x", "y", "z"]}, "n": {"type": "integer", "min": 0}, "f": {"type": "flag"}}
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "w": st.sampled_from(["x", "y", {"at_least": "y"}, {"at_most": "y"}, {"in": ["x", "z"]}]),
        "n": st.sampled_from([{"gte": 2}, {"lt": 2}, {"gt": 0, "lte": 3}, {"eq": 1}, {"gt": 3}]),
        "f": st.booleans(),
    },
)
EVERYTHING = [
    {"w": w, "n": n, "f": f}
    for w, n, f in product(["x", "y", "z", None], [0, 1, 2, 3, 4, 9, None], [True, False, None])
]


@settings(max_examples=300)
@given(st.lists(CONDITIONS, min_size=1, max_size=6))
def test_validation_agrees_with_trying_every_case(conditions: list[dict[str, Any]]) -> None:
    """The check by boxes is exact: against brute force over all cases of a small table."""
    rows = [row(str(index), **when) for index, when in enumerate(conditions)]

    def first(facts: dict[str, Any]) -> str | None:
        for index, when in enumerate(conditions):
            one = Table.of({"fields": SMALL, "rows": [row("only", **when), row("rest")] if when else [row("only")]})
            if one.decide(facts).id == "only":
                return str(index)
        return None

    reached = [first(facts) for facts in EVERYTHING]
    dead = {str(index) for index in range(len(rows))} - set(reached)
    try:
        Table.of({"fields": SMALL, "rows": rows})
        found: list[str] = []
    except TableInvalid as error:
        found = [str(fault) for fault in error.faults]
    assert {one.split("[")[1].split("]")[0] for one in found if one.startswith("rows[")} == dead
    assert any("no row decides" in one for one in found) == (None in reached)
