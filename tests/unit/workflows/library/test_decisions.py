"""CLEARANCE decides by decision tables, and every case as it did by its own tables before."""

import random
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.workflows.library import former_tables as former
from workflows.core.tables.analysis import analyse
from workflows.core.tables.document import read
from workflows.core.tables.plain import plain
from workflows.core.tables.table import FactsInvalid, Table
from workflows.core.tables.unknown import could_be
from workflows.library.clearance.former import as_document
from workflows.library.shipping import files

BEFORE = {
    row["name"]: former.Table.of(row["table"])
    for row in yaml.safe_load((Path(__file__).parent / "former_tables.yaml").read_text("utf-8"))
}
NOW = {row["name"]: read(row["table"]) for row in files.fixture("decision-tables.yaml")}
#: facts of each of the four tables
CASES = 2_500


def facts_of(table: former.Table, chance: random.Random) -> dict[str, Any]:
    """One in four is not known, one in fifty is of the wrong kind, and numbers are often where a row begins or ends."""
    facts: dict[str, Any] = {}
    for field in table.fields:
        marks = [limit for row in table.rows if isinstance(row.when.get(field.name), dict)
                 for limit in row.when[field.name].values() if isinstance(limit, int | float)]  # fmt: skip
        if chance.random() < 0.25:
            if chance.random() < 0.5:
                facts[field.name] = None
        elif chance.random() < 0.02:
            facts[field.name] = chance.choice(["odd", -1, True, 1.5, float("nan"), [], {}])
        elif field.kind == "word":
            facts[field.name] = chance.choice(field.values)
        elif field.kind == "flag":
            facts[field.name] = chance.random() < 0.5
        elif marks and chance.random() < 0.6:
            facts[field.name] = chance.choice(marks) + chance.choice(
                [0, 1, -1] if field.kind == "integer" else [0, 0.5, -0.5]
            )
        else:
            number = chance.choice([0, 10, 100, 1e6, 1e8]) * chance.random()
            facts[field.name] = round(number) if field.kind == "integer" else number
    return facts


def by_former(table: former.Table, facts: dict[str, Any]) -> Any:
    try:
        row = table.decide(facts)
    except former.BadFact:
        return "refused"
    said = row.then
    outcome = [said.level, said.urgency, said.sla_hours, list(said.approvers), said.reason]
    return row.id, outcome, table.could_be(facts, row)


def by_table(table: Table, facts: dict[str, Any]) -> Any:
    try:
        decision = table.decide(facts)
    except FactsInvalid:
        return "refused"
    said = plain(decision.output)
    outcome = [said[name] for name in ("level", "urgency", "sla_hours", "approvers", "reason")]
    return table.rules[decision.rules[0]].id, outcome, could_be(table, facts)


def test_the_tables_are_those_that_were_there() -> None:
    assert BEFORE.keys() <= NOW.keys()
    for name, row in zip(NOW, files.fixture("decision-tables.yaml"), strict=True):
        assert row["name"] == name


@pytest.mark.parametrize("name", sorted(BEFORE))
def test_every_case_is_decided_as_before(name: str) -> None:
    """10,000 in all: the row, what it says, which rows might have decided, and what is refused."""
    chance = random.Random(f"clearance {name}")
    seen: set[str] = set()
    for _ in range(CASES):
        facts = facts_of(BEFORE[name], chance)
        found = by_table(NOW[name], facts)
        assert found == by_former(BEFORE[name], facts), facts
        seen.add(found if found == "refused" else found[0])
    # Every row decided some of them, and some were refused: the comparison is not of one row alone.
    assert seen == {"refused", *(row.id for row in BEFORE[name].rows)}


@pytest.mark.parametrize("name", sorted(NOW))
def test_a_shipped_table_decides_every_case_and_has_no_rule_in_vain(name: str) -> None:
    report = analyse(NOW[name])
    assert (report.gaps, report.unreached, report.unsure, report.is_complete) == ([], [], [], True)


def test_the_table_of_the_reference_decides() -> None:
    page = Path("docs/reference/library.md").read_text("utf-8")
    table = read(yaml.safe_load(page.split("```decision-table\n")[1].split("```")[0]))
    assert table.decide({"severity": "high", "loss": 2e7}).output["level"] == "board"
    assert could_be(table, {"severity": "high"}) == (["board"], ["loss"])
    assert analyse(table).gaps == []


SMALL = {"w": {"type": "word", "values": ["x", "y", "z"]}, "n": {"type": "integer", "min": 0}, "f": {"type": "flag"},
         "r": {"type": "number"}}  # fmt: skip
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "w": st.sampled_from(["x", "y", {"at_least": "y"}, {"at_most": "y"}, {"in": ["x", "z"]},
                              {"in": ["x", "z"], "at_least": "y"}]),
        "n": st.sampled_from([{"gte": 2}, {"lt": 2}, {"gt": 0, "lte": 3}, {"eq": 1}, {"gt": 3}, {"gt": 0, "gte": 0}]),
        "f": st.booleans(),
        "r": st.sampled_from([{"gte": 0.5, "lt": 1.5}, {"gt": -1, "lt": 2, "lte": 2}, {"eq": -0.25}, {"lte": -1}]),
    },
)  # fmt: skip
EVERYTHING = [
    dict(zip("wnfr", case, strict=True))
    for case in product(
        ["x", "y", "z", None], [0, 1, 2, 3, 4, -1, None], [True, False, None], [-1, -0.25, 0.5, 1, 2, None]
    )
]


@settings(max_examples=40)
@given(st.lists(CONDITIONS, min_size=1, max_size=6))
def test_a_table_of_anybody_becomes_one_that_decides_alike(conditions: list[dict[str, Any]]) -> None:
    then = {"level": "x", "urgency": "now", "sla_hours": 1}
    rows = [{"id": str(at), "when": when, "then": then} for at, when in enumerate([*conditions, {}])]
    document = {"fields": SMALL, "rows": rows}
    before = former.read_document(document)[0]
    assert before is not None
    now = read(as_document(document))
    for facts in EVERYTHING[::3]:
        assert by_table(now, facts) == by_former(before, facts), facts
