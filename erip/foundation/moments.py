"""Moments as callers write them: RFC 3339, and nothing else."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

# Section 5.6; its letters may be small.
_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


def moment(text: str) -> datetime:
    """A date-time of RFC 3339, in UTC. Raises ValueError, whose message completes "it …".

    A leap second (23:59:60 UTC at the end of a month) is read as the second before it: neither Python nor PostgreSQL
    holds one. Digits beyond microseconds are cut off. The moment must lie in the years 1 to 9999 of UTC, which both
    hold.
    """
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError("is not a date-time like 2026-11-30T12:00:00Z (RFC 3339)")
    day, clock, seconds, fraction, sign, hours, minutes = found.groups()
    leap = seconds == "60"
    try:
        at = datetime.fromisoformat(f"{day}T{clock}:{'59' if leap else seconds}")
        at = at.replace(microsecond=int((fraction or "0")[:6].ljust(6, "0")), tzinfo=UTC)
        if sign is not None:
            if int(hours) > 23 or int(minutes) > 59:
                raise ValueError("is not an offset")
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            at = at - offset if sign == "+" else at + offset
    except (ValueError, OverflowError) as error:
        raise ValueError("is not a moment that exists, in the years 1 to 9999 (RFC 3339)") from error
    if leap and ((at.hour, at.minute) != (23, 59) or (at + timedelta(seconds=1)).day != 1):
        raise ValueError("is no leap second: these are at 23:59:60 UTC, at the end of a month")
    return at


#: the first and the last moment that Python holds
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


def later(at: datetime, by: timedelta) -> datetime:
    """The moment that is later by so much (or earlier: `by` may be negative); at most the first or the last one there
    is. Callers may name any moment of the years 1 to 9999, so plain arithmetic with theirs can fail.
    """
    try:
        return at + by
    except OverflowError:
        return _FIRST if by < timedelta() else _LAST
