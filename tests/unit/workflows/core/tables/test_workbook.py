"""Workbooks: what is written is read as the same table, and hostile files are refused before they cost anything."""

import io
import zipfile
from datetime import date, datetime, time
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.xml import DEFUSEDXML

from tests.unit.workflows.core.tables.strategies import documents
from workflows.core.tables.document import TableInvalid, read
from workflows.core.tables.table import Policy
from workflows.core.tables.workbook import MAX_ELEMENTS, MAX_UNPACKED, read_sheets, read_xlsx, write_xlsx
from workflows.library.shipping import files

DOCUMENT: dict[str, Any] = {
    "inputs": [{"name": "n", "type": "number", "optional": True}],
    "outputs": [{"name": "out", "type": "string", "default": '"none"'}],
    "rules": [{"id": "a", "when": {"n": "= 5"}, "then": {"out": '"high"'}, "note": "=HYPERLINK(1) '=x\x07"}],
}


def book(*rows: list[Any], title: str = "table", more: str | None = None) -> bytes:
    made = openpyxl.Workbook()
    sheet = made.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    if more:
        made.create_sheet(more)
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def faults(source: bytes, **more: Any) -> list[str]:
    with pytest.raises(TableInvalid) as refused:
        read_xlsx(source, **more)
    return [str(fault) for fault in refused.value.faults]


@settings(max_examples=15)
@given(st.sampled_from([str(policy) for policy in Policy]).flatmap(documents))
def test_what_is_written_is_read_as_the_same_table(document: dict[str, Any]) -> None:
    found = read(read_xlsx(write_xlsx("same", document)))
    before = read(document)
    assert (found.inputs, found.outputs, found.policy) == (before.inputs, before.outputs, before.policy)
    assert [(rule.when, rule.then) for rule in found.rules] == [(rule.when, rule.then) for rule in before.rules]


def test_the_shipped_tables_survive() -> None:
    for row in files.fixture("decision-tables.yaml"):
        assert read(read_xlsx(write_xlsx(row["name"], row["table"]))) == read(row["table"])


def test_no_cell_that_is_written_is_a_formula() -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(write_xlsx("a/b" * 20, DOCUMENT))).worksheets[0]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row if cell.value is not None} == {"s"}
    assert len(sheet.title) <= 31
    found = read_xlsx(write_xlsx("a", DOCUMENT))["rules"][0]
    assert (found["when"]["n"], found["note"]) == ("= 5", "=HYPERLINK(1) '=x�")


def test_cells_of_every_kind_are_read_as_feel_writes_them() -> None:
    kinds = [1, 2.5, True, "-", date(2026, 12, 24), datetime(2026, 12, 24, 16), time(16)]
    rows = [["rule", "when x", "then o"], *([None, one, 1] for one in kinds)]
    cells = [rule["when"].get("x") for rule in read_xlsx(book(*rows))["rules"]]
    assert cells[:4] == ["1", "2.5", "true", "-"]
    # A workbook has no dates but moments at midnight.
    assert cells[4:] == [
        'date and time("2026-12-24T00:00:00")', 'date and time("2026-12-24T16:00:00")', 'time("16:00:00")',
    ]  # fmt: skip


def test_formulas_are_refused_each_with_its_place() -> None:
    found = faults(book(["rule", "when n", "then out"], ["a", "=1+1", "=NOW()"], ["b", 1, '="x"']))
    assert [one.split(";")[0] for one in found] == [
        "row 2: column 2 is a formula", "row 2: column 3 is a formula", "row 3: column 3 is a formula",
    ]  # fmt: skip


def test_the_sheet_is_named_where_there_are_several() -> None:
    rows = (["rule", "when n", "then out"], ["a", 1, 2])
    assert (
        "name the sheet to take; in the file there are: 'one', 'two'" in faults(book(*rows, title="one", more="two"))[0]
    )
    assert read_xlsx(book(*rows, title="one", more="two"), sheet="one")["rules"]
    assert "name the sheet" in faults(book(*rows), sheet="other")[0]


def packed(**parts: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return stream.getvalue()


def changed(**parts: bytes) -> bytes:
    """A good workbook with other parts, and a list of strings that its cells may refer to."""
    strings = b'<Override PartName="/xl/sharedStrings.xml" ContentType="application/vnd.openxmlformats-' \
              b'officedocument.spreadsheetml.sharedStrings+xml"/></Types>'  # fmt: skip
    stream = io.BytesIO()
    whole = book(["rule", "when n", "then out"], ["a", 1, 2])
    with zipfile.ZipFile(io.BytesIO(whole)) as good, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        kept = {one: good.read(one) for one in good.namelist()}
        kept["[Content_Types].xml"] = kept["[Content_Types].xml"].replace(b"</Types>", strings)
        for name, content in ({**kept, "xl/sharedStrings.xml": b"<sst " + SPACE + b"/>"} | parts).items():
            made.writestr(name, content)
    return stream.getvalue()


SPACE = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
ENTITY = b'<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;&x;">]>'


def spoiled(at: str) -> bytes:
    """A good workbook of which one part is encrypted, broken, cut or packed in another way, as its directory says."""
    whole = bytearray(book(["rule", "when n", "then out"], ["a", 1, 2]))
    entry = whole.rindex(b"PK\x01\x02")
    local = int.from_bytes(whole[entry + 42 : entry + 46], "little")
    if at == "encrypted":
        whole[entry + 8] |= 1
        whole[local + 6] |= 1
    elif at == "broken":
        start = local + 30 + int.from_bytes(whole[local + 26 : local + 28], "little")
        whole[start : start + 8] = b"\xff" * 8
    elif at == "cut":
        whole[entry + 42 : entry + 46] = (len(whole) - 8).to_bytes(4, "little")
    else:
        whole[entry + 10] = whole[local + 8] = zipfile.ZIP_LZMA
    return bytes(whole)


def rows(content: bytes, before: bytes = b"") -> bytes:
    """A workbook whose sheet has these rows."""
    xml = before + b"<worksheet " + SPACE + b"><sheetData>" + content + b"</sheetData></worksheet>"
    return changed(**{"xl/worksheets/sheet1.xml": xml})


HOSTILE = {
    "empty": b"",
    "two letters": b"PK",
    "no zip": b"no zip",
    "nothing in it": packed(),
    "nothing at all in it": b"PK\x05\x06" + b"\0" * 18,
    "no parts": packed(**{"[Content_Types].xml": b"<a/>"}),
    "a bomb": packed(bomb=b"\0" * (MAX_UNPACKED + 1)),
    "many parts": packed(**{f"p{at}": b"" for at in range(300)}),
    "too long": b"x" * (1024 * 1024 + 1),
    "cut": write_xlsx("a", DOCUMENT)[:-30],
    "many elements": changed(**{"xl/worksheets/sheet1.xml": b"<a>" + b"<a/>" * (2 * MAX_ELEMENTS) + b"</a>"}),
    "many elements in a part that is no sheet": packed(**{"docProps/app.xml": b"<a/>" * (MAX_UNPACKED // 4)}),
    "an encrypted part": spoiled("encrypted"),
    "a broken part": spoiled("broken"),
    "a part behind the end": spoiled("cut"),
    "a part of another compression": spoiled("lzma"),
    "no xml": changed(**{"xl/worksheets/sheet1.xml": b"<worksheet"}),
    "an entity in the sheet": rows(b"<row>&z;</row>", ENTITY),
    "an entity in the workbook": changed(**{"xl/workbook.xml": ENTITY + b"<workbook/>"}),
    "an entity in the strings": changed(**{"xl/sharedStrings.xml": ENTITY + b"<sst>&z;</sst>"}),
    "the last row": rows(b'<row r="1048576"><c r="A1048576" t="n"><v>1</v></c></row>'),
    "the last column": rows(b'<row r="1"><c r="XFD1" t="n"><v>1</v></c></row>'),
    "no such string": rows(b'<row r="1"><c r="A1" t="s"><v>99999</v></c></row>'),
    "a large number": rows(b'<row r="1"><c r="A1" t="n"><v>1e999</v></c></row>'),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_file_is_refused(what: str) -> None:
    assert faults(HOSTILE[what])


def test_elements_are_counted_before_they_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openpyxl, "load_workbook", lambda *_, **__: pytest.fail("it was parsed"))
    for what in ("an encrypted part", "a broken part", "a part behind the end", "a part of another compression"):
        assert len(faults(HOSTILE[what])) == 1
    for what in ("many elements", "many elements in a part that is no sheet"):
        assert "more than 300,000 XML elements" in faults(HOSTILE[what])[0]


def test_the_workbook_that_they_are_made_of_is_read() -> None:
    assert read_xlsx(changed())["rules"]


def test_the_sheets_of_a_workbook_are_read_one_by_one() -> None:
    found, wrong = read_sheets(book(["rule", "when n", "then out"], ["a", 1, 2], title="one", more="two"))
    assert list(found) == ["one"]
    assert [fault.path for fault in wrong] == ["two"]


def test_the_xml_is_read_by_defusedxml() -> None:
    assert DEFUSEDXML
