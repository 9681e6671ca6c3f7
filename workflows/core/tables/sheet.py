"""Decision tables as spreadsheets: rows of texts, and these as CSV.

    hit_policy,FIRST
    rule,when severity,when loss,then level,note
    #type,string,number,string
    #optional,,true
    existential,,>= 10000000,board_level,more than we may carry
    ,urgent_ones,-,level_of_urgent

Above the row that begins with `rule` stands what is said of the whole table; a row whose first cell begins with # says
more of each column (type, values, optional, default, label); every other row is a rule. Its first cell is the rule's
id, and an empty one is its number. The cells hold what the cells of a document hold.

Note [Formulas]
A spreadsheet takes a cell that begins with =, +, - or @ for a formula. `<= 5` is none, but `@"PT4H"` is, and so is what
somebody wrote into a note. Such a cell is written with an apostrophe before it, as spreadsheets themselves mark texts,
and one apostrophe is taken off when it is read.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from erip.foundation.faults import Fault
from workflows.core.tables import values
from workflows.core.tables.document import TableInvalid, read
from workflows.core.tables.feel import ANY, read_tests

#: bytes of a file, its rows and its columns
MAX_BYTES: Final = 1024 * 1024
MAX_ROWS: Final = 1_100
MAX_COLUMNS: Final = 80
_OF_ALL: Final = ("description", "hit_policy", "aggregation")
_OF_COLUMNS: Final = {"#type": "type", "#values": "values", "#optional": "optional", "#default": "default",
                      "#label": "label"}  # fmt: skip
_ONLY: Final = {"#optional": "when", "#default": "then"}
_FORMULA: Final = re.compile(r"['=+@\t\r]|-(?!\d+(?:\.\d+)?$).")
_HEAD: Final = re.compile(r'^"?rule"?([,;\t])', re.MULTILINE)


def read_csv(source: bytes) -> dict[str, Any]:
    """The document of a CSV file, separated by commas, semicolons or tabs. Raises TableInvalid."""
    if len(source) > MAX_BYTES:
        raise TableInvalid([Fault("", f"a CSV file has at most {MAX_BYTES:,} bytes")])
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableInvalid([Fault("", f"not UTF-8 text (at byte {error.start}); save it as CSV UTF-8")]) from None
    head = _HEAD.search(text)
    if head is None:
        raise TableInvalid([Fault("", "no row begins with `rule`: that row names the columns (when …, then …, note)")])
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=head[1], strict=True):
            rows.append(row)
            if len(rows) > MAX_ROWS:
                raise TableInvalid([Fault("", f"a spreadsheet has at most {MAX_ROWS:,} rows")])
    except csv.Error as error:
        raise TableInvalid([Fault(f"row {len(rows) + 1}", f"is no CSV: {error}")]) from None
    return read_rows(rows)


def read_rows(rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    """The document of a sheet's rows. Raises TableInvalid with what of the rows cannot be read; `document.read` checks
    the rest."""
    return _Sheet(rows).read()


class _Sheet:
    def __init__(self, rows: Sequence[Sequence[str]]) -> None:
        self._rows = rows
        self._faults: list[Fault] = []
        self._document: dict[str, Any] = {}
        #: place → (when, then or note; its column)
        self._columns: dict[int, tuple[str, dict[str, Any]]] = {}
        self._rules: list[dict[str, Any]] = []

    def read(self) -> dict[str, Any]:
        for number, row in enumerate(self._rows, start=1):
            cells = [bare(cell) for cell in row[:MAX_COLUMNS]]
            if any(cell.strip() for cell in row[MAX_COLUMNS:]):
                self._fault(number, f"has more than {MAX_COLUMNS} columns")
            if any(cell.strip() for cell in cells):
                self._row(number, cells)
        if not self._columns and not self._faults:
            self._faults.append(Fault("", "no row begins with `rule`: that row names the columns"))
        if self._faults:
            raise TableInvalid(self._faults[:100])
        columns = list(self._columns.values())
        return {
            **self._document,
            "inputs": [column for kind, column in columns if kind == "when"],
            "outputs": [column for kind, column in columns if kind == "then"],
            "rules": self._rules,
        }

    def _fault(self, number: int, message: str) -> None:
        self._faults.append(Fault(f"row {number}", message))

    def _row(self, number: int, cells: Sequence[str]) -> None:
        first = cells[0].strip()
        if not self._columns:
            if first == "rule":
                self._head(number, cells)
            elif first in _OF_ALL and len(cells) > 1:
                self._document[first] = cells[1]
            else:
                self._fault(number, f"{first[:40]!r} is none of {', '.join(_OF_ALL)}, rule")
        elif first.startswith("#"):
            self._about(number, first, cells)
        else:
            self._rule(number, first, cells)

    def _head(self, number: int, cells: Sequence[str]) -> None:
        for place, cell in enumerate(cells[1:], start=1):
            kind, _, name = cell.strip().partition(" ")
            if kind in ("when", "then") and name.strip():
                self._columns[place] = (kind, {"name": name.strip()})
            elif cell.strip() == "note":
                self._columns[place] = ("note", {})
            elif cell.strip():
                self._fault(number, f"{cell[:40]!r} is no column: there are `when NAME`, `then NAME` and `note`")

    def _about(self, number: int, first: str, cells: Sequence[str]) -> None:
        if first not in _OF_COLUMNS:
            self._fault(number, f"{first[:40]!r} is none of {', '.join(_OF_COLUMNS)}")
            return
        for place, cell in self._filled(number, cells):
            kind, column = self._columns[place]
            if kind == "note" or _ONLY.get(first, kind) != kind:
                self._fault(number, f"column {place + 1} has no {first[1:]}")
            elif first == "#optional":
                if cell not in ("true", "false"):
                    self._fault(number, f"column {place + 1}: optional must be true or false")
                column["optional"] = cell == "true"
            else:
                column[_OF_COLUMNS[first]] = cell

    def _rule(self, number: int, first: str, cells: Sequence[str]) -> None:
        rule: dict[str, Any] = {"when": {}, "then": {}}
        if first:
            rule["id"] = first
        for place, cell in self._filled(number, cells):
            kind, column = self._columns[place]
            if kind == "note":
                rule["note"] = cell
            else:
                rule[kind][column["name"]] = cell
        self._rules.append(rule)

    def _filled(self, number: int, cells: Sequence[str]) -> Iterator[tuple[int, str]]:
        for place, cell in enumerate(cells[1:], start=1):
            if not cell.strip():
                continue
            if place in self._columns:
                yield place, cell.strip() if self._columns[place][0] != "note" else cell
            else:
                self._fault(number, f"column {place + 1} has no name in the row that begins with `rule`")


# --- writing ----------------------------------------------------------------------------------------------


def write_csv(document: Mapping[str, Any]) -> bytes:
    """A document that `document.read` takes, as CSV in UTF-8. Raises TableInvalid."""
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\r\n").writerows(
        ["'" + cell if _FORMULA.match(cell) else cell for cell in row] for row in write_rows(document)
    )
    return stream.getvalue().encode()


def write_rows(document: Mapping[str, Any]) -> Iterable[list[str]]:
    """The rows of a document's sheet, of the same length each. Raises TableInvalid."""
    read(document)
    inputs, outputs, rules = document["inputs"], document["outputs"], document["rules"]
    wide = 1 + len(inputs) + len(outputs) + 1
    rows: list[list[str]] = [[key, str(document[key])] for key in _OF_ALL if document.get(key)]
    rows.append(["rule", *(f"when {one['name']}" for one in inputs), *(f"then {one['name']}" for one in outputs),
                 "note"])  # fmt: skip
    for mark, key in _OF_COLUMNS.items():
        row = [_about(one, key) for one in (*inputs, *outputs)]
        if any(row):
            rows.append([mark, *row])
    for at, rule in enumerate(rules):
        when, then = rule.get("when", {}), rule["then"]
        cells = [_cell(when[one["name"]]) if one["name"] in when else "" for one in inputs]
        said = [_cell(then[one["name"]]) for one in outputs]
        own = str(rule.get("id", at + 1))
        rows.append([own, *("" if _is_any(cell) else cell for cell in cells), *said, str(rule.get("note", ""))])
    return [row + [""] * (wide - len(row)) for row in rows]


def _about(column: Mapping[str, Any], key: str) -> str:
    found = column.get(key)
    if key == "default" and key in column:
        return _cell(found)
    if found is None or found is False:
        return ""
    if isinstance(found, list):
        return ", ".join(values.written(one) for one in found)
    return "true" if found is True else str(found)


def _cell(cell: Any) -> str:
    return cell if isinstance(cell, str) else values.written(cell)


def _is_any(cell: str) -> bool:
    return read_tests(cell) == ANY


def bare(cell: str) -> str:
    """Without the apostrophe of Note [Formulas]."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell
