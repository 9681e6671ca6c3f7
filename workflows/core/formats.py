"""What the `format`s of a JSON Schema accept: asserted wherever a schema is, and by one reading of moments.

The validator knows the formats of JSON Schema 2020-12 (date-time, date, time, duration, email, idn-email, hostname,
idn-hostname, ipv4, ipv6, uri, uri-reference, iri, iri-reference, uuid, regex, json-pointer, relative-json-pointer,
uri-template) by their RFCs. Here stand those that must hold more: a moment or a date that was accepted can be reckoned
with and stored. A format that is not known asserts nothing, as the specification has it.
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


#: what the validator asks in place of its own check
FORMATS: Final[dict[str, Callable[[str], bool]]] = {"date-time": _is(moment), "date": _is(day)}


def holds(name: str, text: str) -> bool:
    """Whether `text` is one of that format; of those in FORMATS."""
    return FORMATS[name](text)
