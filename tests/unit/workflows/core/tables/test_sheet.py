"""Decision tables as CSV: there and back, and what is refused."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.workflows.core.tables.strategies import all_facts, documents
from workflows.core.tables.document import TableInvalid, read
from workflows.core.tables.sheet import MAX_BYTES, read_csv, write_csv
from workflows.core.tables.table import Policy


@settings(max_examples=40)
@given(st.sampled_from([str(policy) for policy in Policy]).flatmap(documents))
def test_what_is_written_is_read_as_the_same_table(document: dict[str, Any]) -> None:
    before, after = read(document), read(read_csv(write_csv(document)))
    for facts in all_facts(before)[::3]:
        assert before.decide(facts) == after.decide(facts)
    assert [rule.id for rule in after.rules] == [rule.id for rule in before.rules]


#: texts that a spreadsheet, or a reader of CSV, may take for something else
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
NOTES = st.one_of(TEXTS, st.sampled_from(["=1+1", "'=1", "''", "@x", "-x", "+x", "\tx", "a,b;c", 'a"b', "a\r\nb", "-"]))


@settings(max_examples=100)
@given(st.lists(NOTES, min_size=1, max_size=4))
def test_every_note_comes_back_as_it_was_and_none_is_a_formula(notes: list[str]) -> None:
    document = {
        "inputs": [{"name": "n", "type": "number"}],
        "outputs": [{"name": "out", "default": '"none"', "label": "=HYPERLINK()"}],
        "rules": [{"when": {"n": "-5"}, "then": {"out": '@"PT4H"'}, "note": note} for note in notes],
    }
    written = write_csv(document)
    for row in csv.reader(io.StringIO(written.decode(), newline="")):
        assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in row)
    back = read_csv(written)
    # A note of blanks is none.
    assert [rule.get("note", "") for rule in back["rules"]] == [note if note.strip() else "" for note in notes]
    assert back["outputs"][0]["label"] == "=HYPERLINK()"


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_sheet_is_read_whatever_separates_its_cells(mark: str) -> None:
    lines = [
        "hit_policy,FIRST",
        "rule,when n,then out,note",
        "#type,number,,",
        "#optional,true,,",
        "big,> 5,1,why",
        ",,0,",
    ]
    source = "\r\n".join(lines).replace(",", mark).encode("utf-8-sig")
    document = read_csv(source)
    assert document == {
        "hit_policy": "FIRST",
        "inputs": [{"name": "n", "type": "number", "optional": True}],
        "outputs": [{"name": "out"}],
        "rules": [
            {"id": "big", "when": {"n": "> 5"}, "then": {"out": "1"}, "note": "why"},
            {"when": {}, "then": {"out": "0"}},
        ],
    }
    assert read(document).decide({"n": None}).output == 0


@pytest.mark.parametrize(
    ("source", "path", "message"),
    [
        (b"", "", "no row begins with `rule`"),
        (b"\xff\xfer\0u\0l\0e\0", "", "not UTF-8"),
        (b"a,b\nrule,when n,then o\n", "row 1", "none of description"),
        (b"rule,n,then o\n1,2,3\n", "row 1", "is no column"),
        (b"rule,when n,then o\n#type,a,b,c\n", "row 2", "column 4 has no name"),
        (b"rule,when n,then o\n#colour,a,b\n", "row 2", "none of #type"),
        (b"rule,when n,then o\n#optional,yes\n", "row 2", "true or false"),
        (b"rule,when n,then o\n#optional,,true\n", "row 2", "has no optional"),
        (b'rule,when n,then o\n"a"b,1,2\n', "row 2", "is no CSV"),
        (b"rule,when n,then o\n" + b"x,1,2\n" * 2_000, "", "at most 1,100 rows"),
        (b"rule,when n,then o\n" + b"x" * MAX_BYTES, "", "at most"),
        (b"rule,when n,then o" + b",x" * 100 + b"\n", "row 1", "more than 80 columns"),
        (b"rule,when n,then o\nx,\"" + b"a" * 200_000 + b"\",2\n", "row 2", "is no CSV"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_with_its_row(source: bytes, path: str, message: str) -> None:
    with pytest.raises(TableInvalid) as error:
        read(read_csv(source))
    assert any(one.path == path and message in one.message for one in error.value.faults), error.value.faults
