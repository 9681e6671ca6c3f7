"""A decision table as a grid: nothing is lost on the way through the form, and its buttons keep it whole."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from console.core.changes import changes
from console.core.grid import MOST_FIELDS, Grid, at_fields, changed, of_document, of_fields, shown, to_document
from erip.foundation.faults import Fault
from tests.unit.workflows.core.tables.strategies import documents
from workflows.core.tables.document import TableInvalid, read
from workflows.library.shipping import files


def said(grid: Grid) -> dict[str, str]:
    """What its form sends."""
    found = {
        "hit_policy": grid.hit_policy, "aggregation": grid.aggregation, "description": grid.description,
        "inputs": str(len(grid.inputs)), "outputs": str(len(grid.outputs)), "rules": str(len(grid.rows)),
    }  # fmt: skip
    parts = shown(grid, {})
    for mark, word, last in (("i", "inputs", ()), ("o", "outputs", ("default",))):
        for one in parts[word]:
            found |= {one[key].key: one[key].value for key in ("name", "label", "type", "values", *last)}
            if one["optional"]:
                found[f"{mark}{one['at']}.optional"] = "1"
    for row in parts["rows"]:
        found |= {cell.key: cell.value for cell in (row["id"], row["note"], *row["when"], *row["then"])}
    return found


def faults_of(grid: Grid) -> list[Fault]:
    try:
        read(to_document(grid))
    except TableInvalid as error:
        return error.faults
    return []


@settings(max_examples=60)
@given(st.sampled_from(["UNIQUE", "FIRST", "PRIORITY", "COLLECT"]).flatmap(documents))
def test_a_table_that_goes_through_the_form_is_the_same_table(document: dict[str, Any]) -> None:
    grid = of_document(document)
    assert of_fields(said(grid)) == grid
    assert read(to_document(grid)) == read(document)
    assert changes(grid, of_document(to_document(grid))) == []


def test_the_shipped_tables_are_not_even_written_otherwise() -> None:
    for row in files.fixture("decision-tables.yaml"):
        assert to_document(of_document(row["table"])) == row["table"]


BUTTONS = st.builds(
    "{}-{}{}".format,
    st.sampled_from(["add", "drop", "up", "down", "other"]),
    st.sampled_from(["rule", "input", "output", "table"]),
    st.sampled_from(["", "-0", "-1", "-2", "-9", "-x", "--1"]),
)


@settings(max_examples=100)
@given(st.lists(BUTTONS, max_size=25))
def test_whatever_buttons_are_pressed_each_rule_has_a_cell_for_each_column(pressed: list[str]) -> None:
    grid = Grid()
    for what in pressed:
        before = said(grid)
        if not changed(grid, what):
            assert said(grid) == before
        assert all((len(row.when), len(row.then)) == (len(grid.inputs), len(grid.outputs)) for row in grid.rows)
    assert of_fields(said(grid)) == grid


FIELDS = st.sampled_from([*said(of_document(files.fixture("decision-tables.yaml")[0]["table"])), "x"])


@settings(max_examples=100)
@given(st.dictionaries(FIELDS, st.text(max_size=8)))
def test_whatever_a_form_says_is_read_and_each_fault_is_shown(fields: dict[str, str]) -> None:
    grid = of_fields(fields)
    assert of_fields(said(grid)) == grid
    faults = faults_of(grid)
    found, others = at_fields(grid, faults)
    assert sum(map(len, found.values())) + len(others) == len(faults)
    assert found.keys() <= {*said(grid), *(f"i{at}.optional" for at in range(50))}


def test_faults_stand_at_the_field_that_they_are_about() -> None:
    inputs = [{"name": "severity", "type": "string", "values": ["low", "high"]}, {"name": "odd name!"}]
    rules = [
        {"when": {"severity": '"odd"', "odd name!": "> x y ("}, "then": {"level": "board"}},
        {"then": {"level": ""}},
    ]
    grid = of_document({"inputs": inputs, "outputs": [{"name": "level", "type": "string"}], "rules": rules})
    found, others = at_fields(grid, [*faults_of(grid), Fault("", "of the whole")])
    assert found.keys() == {"r0.i0", "r0.i1", "r0.o0", "r1.o0"}
    assert others == ["of the whole"]


def test_what_is_different_is_said_cell_by_cell() -> None:
    document = files.fixture("decision-tables.yaml")[0]["table"]
    before, after = of_document(document), of_document(document)
    assert changed(after, "drop-output-4")
    assert changed(after, "drop-rule-1")
    assert changed(after, "up-rule-1")
    assert changed(after, "add-rule")
    after.rows[0].when[0] = '"low"'
    after.rows[-1].id = "new"
    after.hit_policy = "UNIQUE"
    assert [(one.where, one.before[:20], one.after) for one in changes(before, after)] == [
        ("hit policy", "FIRST", "UNIQUE"),
        ("output reason", "string", ""),
        ("place of rule ransomware", "3", "1"),
        ("rule ransomware, when severity", '"high", "critical"', '"low"'),
        ("rule critical-at-scale", 'when severity "criti', ""),
        ("rule new", "", ""),
    ]


def test_a_table_that_is_too_large_for_a_form_says_so() -> None:
    grid = Grid()
    for what in ("add-input", "add-output"):
        changed(grid, what)
    while grid.fits:
        assert changed(grid, "add-rule")
    assert len(said(grid)) > MOST_FIELDS - 10
    assert len(grid.rows) < 1_000


def test_a_form_of_three_numbers_makes_no_larger_page_than_a_form_can_have_sent() -> None:
    for inputs, outputs in ((50, 20), (1, 1), (0, 0), (99999, 99999)):
        grid = of_fields({"inputs": str(inputs), "outputs": str(outputs), "rules": "980"})
        cells = sum(len(row.when) + len(row.then) + 2 for row in grid.rows)
        assert cells <= 2 * MOST_FIELDS
        assert (inputs, outputs, len(grid.rows)) != (50, 20, 0)
