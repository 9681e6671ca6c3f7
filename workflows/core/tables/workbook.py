"""Decision tables as workbooks of spreadsheets (XLSX): a sheet has the rows of `sheet`.

Note [Hostile workbooks]
An XLSX file is a ZIP of XML. Before anything is unpacked, its directory says how many bytes each part has, and
Python's zipfile gives no more of a part than that; so the sum is bounded. An element of four bytes is an object of many
hundred once it is parsed, so the elements are bounded too: all `<` of all parts are counted before anything is parsed,
and most elements have two of them. The XML is read by `defusedxml` (openpyxl
does so where it is installed; a test holds it): no entities, no DTD. Rows and columns are counted while they are read,
since a sheet may claim a million empty ones. A formula is refused with its place: what it gave when the file was saved
may not be what it gives now.
"""

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from importlib import import_module
from typing import Any, Final

from erip.foundation.faults import Fault, join
from workflows.core.tables import values
from workflows.core.tables.document import TableInvalid
from workflows.core.tables.sheet import MAX_COLUMNS, MAX_ROWS, bare, read_rows, write_rows

#: bytes of a file, of what is in it, and its parts
MAX_BYTES: Final = 1024 * 1024
MAX_UNPACKED: Final = 8 * 1024 * 1024
MAX_PARTS: Final = 200
#: elements of XML in all of them
MAX_ELEMENTS: Final = 300_000
#: rows that are looked at: some of them may be empty
_LOOKED_AT: Final = 10 * MAX_ROWS


def read_xlsx(source: bytes, *, sheet: str | None = None) -> dict[str, Any]:
    """The document of a workbook's sheet; None: of its only one. Raises TableInvalid."""
    with _opened(source) as book:
        rows = list(_rows(_sheet(book, sheet)))
    return read_rows(rows)


def read_sheets(source: bytes) -> tuple[dict[str, dict[str, Any]], list[Fault]]:
    """(the document of each sheet by its name, what of the others could not be read). Raises TableInvalid."""
    found: dict[str, dict[str, Any]] = {}
    faults: list[Fault] = []
    with _opened(source) as book:
        for one in book.worksheets:
            try:
                found[one.title] = read_rows(list(_rows(one)))
            except TableInvalid as error:
                at = join("", one.title)
                faults += [Fault(f"{at}, {fault.path}" if fault.path else at, fault.message) for fault in error.faults]
    return found, faults


@contextmanager
def _opened(source: bytes) -> Iterator[Any]:
    """The workbook. openpyxl raises whatever a strange file makes it raise: it all means that it cannot be read."""
    _bounded(source)
    # Here: it loads numpy, which few processes need.
    openpyxl = import_module("openpyxl")
    book = None
    try:
        book = openpyxl.load_workbook(io.BytesIO(source), read_only=True, data_only=False, keep_links=False)
        yield book
    except TableInvalid:
        raise
    except Exception as error:
        raise _no_workbook(error) from None
    finally:
        if book is not None:
            book.close()


def _no_workbook(error: Exception) -> TableInvalid:
    told = f"this is no XLSX that can be read: {type(error).__name__} {str(error)[:200]}"
    return TableInvalid([Fault("", told.strip())])


def _bounded(source: bytes) -> None:
    if len(source) > MAX_BYTES:
        raise TableInvalid([Fault("", f"an XLSX file has at most {MAX_BYTES:,} bytes")])
    try:
        with zipfile.ZipFile(io.BytesIO(source)) as packed:
            parts = packed.infolist()
            _bounded_parts(parts)
            marks = sum(_marks(packed, part) for part in parts)
    except TableInvalid:
        raise
    # As openpyxl, zipfile raises a lot: RuntimeError of a part that is encrypted, zlib.error of one that is broken,
    # struct.error of one that is cut.
    except Exception as error:
        raise _no_workbook(error) from None
    if marks > 2 * MAX_ELEMENTS:
        told = f"has more than {MAX_ELEMENTS:,} XML elements, and so many are not read; take away what is no table"
        raise TableInvalid([Fault("", told)])


def _bounded_parts(parts: list[zipfile.ZipInfo]) -> None:
    if len(parts) > MAX_PARTS:
        raise TableInvalid([Fault("", f"has {len(parts):,} parts, and at most {MAX_PARTS} may be there")])
    if (size := sum(part.file_size for part in parts)) > MAX_UNPACKED:
        raise TableInvalid([Fault("", f"would unpack to {size:,} bytes, and at most {MAX_UNPACKED:,} are read")])
    if any(part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for part in parts):
        raise TableInvalid([Fault("", "has parts that are packed in another way than workbooks are (deflate)")])


def _marks(packed: zipfile.ZipFile, part: zipfile.ZipInfo) -> int:
    """How many `<` a part has, in UTF-8 or UTF-16: the byte is the same."""
    return packed.read(part).count(b"<")


def _sheet(book: Any, name: str | None) -> Any:
    names = [one.title for one in book.worksheets]
    if name is None and len(names) == 1:
        return book.worksheets[0]
    if name in names:
        return book[name]
    listed = ", ".join(repr(one[:60]) for one in names[:20]) or "none"
    raise TableInvalid([Fault("", f"name the sheet to take; in the file there are: {listed}")])


def _rows(sheet: Any) -> Iterator[list[str]]:
    faults: list[Fault] = []
    filled = 0
    for number, row in enumerate(sheet.iter_rows(), start=1):
        if number > _LOOKED_AT:
            faults.append(Fault("", f"has more than {_LOOKED_AT:,} rows; take away the empty ones"))
            break
        if len(row) > 16 * MAX_COLUMNS:
            faults.append(Fault(f"row {number}", f"has more than {MAX_COLUMNS} columns"))
            break
        cells = []
        for place, cell in enumerate(row, start=1):
            if cell.data_type == "f":
                faults.append(Fault(f"row {number}", f"column {place} is a formula; put its value there"))
            cells.append(_text(cell.value))
        if any(cells):
            filled += 1
            if filled > MAX_ROWS:
                faults.append(Fault("", f"a spreadsheet has at most {MAX_ROWS:,} rows"))
                break
        if len(faults) >= 100:
            break
        yield cells
    if faults:
        raise TableInvalid(faults)


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool() | int() | float() | datetime() | date() | time() | timedelta():
            return values.written(value)
    return str(value)


def write_xlsx(name: str, document: Mapping[str, Any]) -> bytes:
    """A document that `document.read` takes, as a workbook with one sheet. Every cell is a text: none is a formula.
    Raises TableInvalid."""
    rows = list(write_rows(document))
    # As above.
    openpyxl = import_module("openpyxl")
    styles, kinds = import_module("openpyxl.styles"), import_module("openpyxl.cell")
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(_title(name))
    bold = styles.Font(bold=True)
    for row in rows:
        cells = []
        for said in row:
            cell = kinds.WriteOnlyCell(sheet, value=None)
            text = _storable(said)
            # One apostrophe is taken off when it is read: Note [Formulas] in `sheet`.
            cell.value = (text if bare(text) == text else "'" + text) or None
            if text:
                cell.data_type = "s"
            if row[0] == "rule":
                cell.font = bold
            cells.append(cell)
        sheet.append(cells)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _title(name: str) -> str:
    """A sheet's name has at most 31 characters, and some signs are not for it."""
    return "".join(sign if sign not in r"[]:*?/\'" else "-" for sign in name)[:31] or "table"


def _storable(text: str) -> str:
    """XML has no control characters but tabs and line ends."""
    return "".join(sign if sign >= " " or sign in "\t\n\r" else "�" for sign in text)
