"""Cases worked out by hand: what each table of `golden.yaml` says, and by which rules."""

from pathlib import Path
from typing import Any

import pytest

from workflows.core.source import read as read_source
from workflows.core.tables.dmn import read_dmn, write_dmn
from workflows.core.tables.document import read
from workflows.core.tables.plain import plain
from workflows.core.tables.sheet import read_csv, write_csv
from workflows.core.tables.table import FactsInvalid, Table

#: by name; YAML as we read it, in which `yes` is a word and a date a text
GROUPS = {
    one["name"]: one
    for one in read_source(
        "groups:\n" + (Path(__file__).parent / "golden.yaml").read_text("utf-8"), "yaml"
    )["groups"]
}  # fmt: skip
CASES = [
    pytest.param(name, *case[1:], id=f"{name}: {case[0]}") for name, group in GROUPS.items() for case in group["cases"]
]


def document(group: dict[str, Any]) -> dict[str, Any]:
    """The table in its long form."""
    inputs = []
    for name, kind in group["inputs"].items():
        column: dict[str, Any] = {"name": name}
        if isinstance(kind, list):
            column |= {"type": "string", "values": kind}
        elif kind != "any":
            column["type"] = kind.removesuffix("?")
        if str(kind).endswith("?"):
            column["optional"] = True
        inputs.append(column)
    outputs = []
    for name, kind in group["outputs"].items():
        column = {"name": name} if kind == "any" else {"name": name, "type": kind}
        for key in ("values", "defaults"):
            if name in group.get(key, {}):
                column[key.removesuffix("s") if key == "defaults" else key] = group[key][name]
        outputs.append(column)
    names = list(group["inputs"]), list(group["outputs"])
    rules = [
        {"when": dict(zip(names[0], row, strict=False)), "then": dict(zip(names[1], row[len(names[0]) :], strict=True))}
        for row in group["rules"]
    ]
    made = {"inputs": inputs, "outputs": outputs, "hit_policy": group["policy"], "rules": rules}
    return made | ({"aggregation": group["aggregation"]} if "aggregation" in group else {})


TABLES = {name: read(document(group)) for name, group in GROUPS.items()}


def said(table: Table, facts: dict[str, Any]) -> tuple[Any, list[int]]:
    try:
        decision = table.decide(facts)
    except FactsInvalid:
        return "refused", []
    output = "fault" if decision.fault else plain(decision.output)
    return output, [place + 1 for place in decision.rules]


def test_there_are_enough_cases_and_each_shows_something_else() -> None:
    assert len(CASES) >= 150
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize(("name", "facts", "output", "rules"), CASES)
def test_a_case(name: str, facts: dict[str, Any], output: Any, rules: list[int]) -> None:
    found = said(TABLES[name], facts)
    assert found == (output, rules)
    # Python takes True for 1.
    assert repr(found[0] is True) == repr(output is True)


def test_every_case_is_decided_the_same_by_the_table_as_a_spreadsheet_and_as_dmn() -> None:
    for name, group in GROUPS.items():
        made = document(group)
        sheet = read(read_csv(write_csv(made)))
        imported = read_dmn(write_dmn(name, made))
        assert imported.faults == [], name
        dmn = read(imported.documents[name])
        for case in group["cases"]:
            _, facts, output, rules = case
            assert said(sheet, facts) == (output, rules), (name, case)
            # DMN knows neither whole numbers nor facts that must not be missing.
            if output != "refused":
                assert said(dmn, facts) == (output, rules), (name, case)
