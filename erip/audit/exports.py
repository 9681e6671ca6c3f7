"""Entries in the formats of others: CSV for a spreadsheet, CEF for a SIEM."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from erip.audit.reading import Found

COLUMNS = [
    "id",
    "at",
    "kind",
    "door",
    "action",
    "principal",
    "behalf",
    "object",
    "from",
    "request",
    "reason",
    "outcome",
]
#: what a spreadsheet takes for the beginning of a formula
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_lines(found: Iterable[Found]) -> Iterator[str]:
    """RFC 4180, every cell in quotes; the last column holds the rest as JSON."""
    yield _row([*COLUMNS, "detail"])
    for entry in found:
        body = entry.told()
        told = {**body, "id": entry.id, "at": entry.at.isoformat()}
        rest = {name: value for name, value in body.items() if name not in COLUMNS}
        yield _row([*(str(told.get(name, "")) for name in COLUMNS), orjson.dumps(rest).decode()])


def harmless(cell: str) -> str:
    """The cell, such that no spreadsheet calculates it (OWASP, CSV injection)."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _row(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow([harmless(cell) for cell in cells])
    return line.getvalue()


def cef_lines(found: Iterable[Found]) -> Iterator[str]:
    """ArcSight's Common Event Format, version 0 (implementation standard, revision 25)."""
    for entry in found:
        body: Mapping[str, Any] = orjson.loads(entry.body)
        action = str(body.get("action", ""))
        outcome = str(body.get("outcome", "done"))
        severity = 7 if body.get("kind") == "finding" else 3 if outcome == "done" else 5
        extension = {
            "externalId": entry.id,
            "rt": int(entry.at.timestamp() * 1000),
            "suser": body.get("principal", ""),
            "src": body.get("from", "") if body.get("door") != "command" else "",
            "shost": body.get("from", "") if body.get("door") == "command" else "",
            "act": action,
            "outcome": outcome,
            "reason": body.get("reason", ""),
            "cs1Label": "object",
            "cs1": body.get("object", ""),
            "cs2Label": "request",
            "cs2": body.get("request", ""),
        }
        told = " ".join(f"{name}={_value(value)}" for name, value in extension.items() if value != "")
        yield f"CEF:0|ERIP|ERIP|1|{_header(action)}|{_header(action)}|{severity}|{told}\n"


def _header(text: str) -> str:
    return _one_line(text).replace("\\", "\\\\").replace("|", "\\|")


def _value(value: Any) -> str:
    text = str(value).replace("\\", "\\\\").replace("=", "\\=")
    return text.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\r")


def _one_line(text: str) -> str:
    return " ".join(text.split())
