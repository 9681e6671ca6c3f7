"""Spans of time as auditors name them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

_FORMS = "2026, 2026Q4, 2026-10, or 2026-10-01..2026-12-31"


class BadPeriod(ValueError):
    """It is no span of time: write 2026, 2026Q4, 2026-10, or 2026-10-01..2026-12-31."""


@dataclass(frozen=True, slots=True)
class Period:
    """since is in it, until is not; both UTC."""

    name: str
    since: datetime
    until: datetime


def period(text: str) -> Period:
    """A year, a quarter, a month, or two days with all between them. Raises BadPeriod."""
    try:
        if found := re.fullmatch(r"(\d{4})(?:Q([1-4])|-(\d\d))?", text, re.ASCII):
            year, quarter, month = (int(part) if part else 0 for part in found.groups())
            first = quarter * 3 - 2 if quarter else month or 1
            after = first + (3 if quarter else 1 if month else 12)
            return Period(text, _first(year, first), _first(year + (after - 1) // 12, (after - 1) % 12 + 1))
        begin, dots, end = text.partition("..")
        if not dots:
            raise BadPeriod(f"{text[:50]!r} is no period: write {_FORMS}")
        since, last = (datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) for day in (begin, end))
        until = datetime.fromtimestamp(last.timestamp() + 86_400, UTC)
    except BadPeriod:
        raise
    except (ValueError, OverflowError) as error:
        raise BadPeriod(f"{text[:50]!r} is no period: write {_FORMS}") from error
    if until <= since:
        raise BadPeriod(f"{text[:50]!r} ends before it begins")
    return Period(text, since, until)


def _first(year: int, month: int) -> datetime:
    return datetime(year, month, 1, tzinfo=UTC)
