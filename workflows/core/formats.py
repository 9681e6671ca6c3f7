"""What the `format`s of a JSON Schema accept: asserted wherever a schema is, and by one reading of moments.

The validator knows the formats of JSON Schema 2020-12 (date-time, date, time, duration, email, idn-email, hostname,
idn-hostname, ipv4, ipv6, uri, uri-reference, iri, iri-reference, uuid, regex, json-pointer, relative-json-pointer,
uri-template) by their RFCs. Here stand those that must hold more: a moment or a date that was accepted can be reckoned
with and stored. A format that is not known asserts nothing, as the specification has it.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final

# RFC 3339, section 5.6; its letters may be small.
_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def moment(text: str) -> datetime:
    """A date-time of RFC 3339, in UTC. Raises ValueError.

    A leap second (23:59:60 UTC at the end of a month) is read as the second before it: neither Python nor PostgreSQL
    holds one, and what is reckoned from it is then never late. Digits beyond microseconds are cut off. The moment must
    lie in the years 1 to 9999 of UTC, which both hold.
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


def day(text: str) -> date:
    """A full-date of RFC 3339. Raises ValueError."""
    if not _DATE.fullmatch(text):
        raise ValueError("is not a date like 2026-11-30 (RFC 3339)")
    return date.fromisoformat(text)


def _is(read: Callable[[str], object]) -> Callable[[str], bool]:
    def holds(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return holds


#: what the validator asks in place of its own check
FORMATS: Final[dict[str, Callable[[str], bool]]] = {"date-time": _is(moment), "date": _is(day)}


def holds(name: str, text: str) -> bool:
    """Whether `text` is one of that format; of those in FORMATS."""
    return FORMATS[name](text)
