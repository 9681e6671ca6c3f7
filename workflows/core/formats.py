"""What the `format`s of a JSON Schema accept: they are checked wherever a schema is, and moments are read in one way
everywhere.

The validator knows the formats of JSON Schema 2020-12 (date-time, date, time, duration, email, idn-email, hostname,
idn-hostname, ipv4, ipv6, uri, uri-reference, iri, iri-reference, uuid, regex, json-pointer, relative-json-pointer,
uri-template) by their RFCs. This module has the stricter ones: a moment or a date that was accepted can be computed
with and stored. An unknown format checks nothing, as the specification says.
"""

import re
from collections.abc import Callable
from datetime import date
from typing import Final

from erip.foundation.moments import moment as moment

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


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


#: the checks that the validator calls in place of its own
FORMATS: Final[dict[str, Callable[[str], bool]]] = {"date-time": _is(moment), "date": _is(day)}


def holds(name: str, text: str) -> bool:
    """Whether `text` has that format, which is one of FORMATS."""
    return FORMATS[name](text)
