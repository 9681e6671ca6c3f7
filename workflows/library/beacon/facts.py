"""Names and values of any JSON, in a form that people read: what a run reported, who voted, what was done."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

#: objects within objects that get rows of their own; what lies deeper is one line
LEVELS: Final = 2
#: what people read first, and what last: what is stored as JSON in the database has lost its order
_FIRST: Final = (
    *("approved", "expired", "votes", "place", "action", "target", "state", "detail", "undo", "obligation"),
    *("reference", "document", "approval", "by", "on_behalf_of", "choice", "roles", "comment", "form", "at"),
)
_LAST: Final = ("guards", "content")
_RANKS: Final = {name: place for place, name in enumerate(_FIRST)} | dict.fromkeys(_LAST, len(_FIRST) + 1)
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class Row:
    """label: what it is. lines: its values, one for each entry of a list; none: the rows of a higher level that follow
    are its parts. level: 0 or more."""

    label: str
    lines: list[str]
    level: int = 0

    @property
    def indent(self) -> str:
        """In Markdown."""
        return "  " * self.level


def rows(facts: Mapping[str, Any], level: int = 0) -> list[Row]:
    """What is empty is left out: it says nothing."""
    return list(_rows(facts, level))


def _rows(facts: Mapping[str, Any], level: int) -> Iterator[Row]:
    # The highest level is as whoever asks for the report has it.
    for name, value in facts.items() if level == 0 else _ordered(facts):
        if _is_empty(value):
            continue
        named = label(str(name))
        if isinstance(value, Mapping) and level < LEVELS:
            if parts := rows(value, level + 1):
                yield Row(named, [], level)
                yield from parts
        elif isinstance(value, list) and any(isinstance(one, Mapping | list) for one in value):
            if lines := [line for one in value if not _is_empty(one) and (line := shown(one))]:
                yield Row(named, lines, level)
        elif line := shown(value):
            yield Row(named, [line], level)


def label(name: str) -> str:
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def shown(value: Any) -> str:
    """One line; "" for what says nothing."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, list):
        return ", ".join(line for one in value if not _is_empty(one) and (line := shown(one)))
    if isinstance(value, Mapping):
        told = {name: shown(one) for name, one in _ordered(value) if not _is_empty(one)}
        return "; ".join(f"{label(str(name))}: {line}" for name, line in told.items() if line)
    return _text(value)


def _ordered(facts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(facts.items(), key=lambda entry: _RANKS.get(entry[0], len(_FIRST)))


def _text(value: Any) -> str:
    text = str(value)
    if _MOMENT.fullmatch(text):
        try:
            return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        except (ValueError, OverflowError):
            return text
    return text


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | Mapping) and not value)
