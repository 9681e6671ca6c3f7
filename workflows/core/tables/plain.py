"""Values of FEEL as JSON: what a decision says is stored with a run and answered by the API.

A date, a time, a date and time and a duration become the text that their type is read from; a range becomes its text in
FEEL. A Decimal, which is there only where a table writes more digits than a double has, becomes the nearest double.
"""

import re
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, Final

from erip.foundation.json_values import INTEGERS, storable
from workflows.core.tables.values import Months, Range, written

_IN_QUOTES: Final = re.compile(r'[^"]*"(.*)"\)')


def plain(value: Any) -> Any:
    """The value as a JSON value that can be stored (Note [Values] in `json_values`)."""
    match value:
        case None | bool():
            return value
        case int():
            # A whole number that JSON's readers would round is one that we round, too.
            return value if value in INTEGERS else _double(value)
        case float() | Decimal():
            return _double(value)
        case str():
            return storable(value)
        case date() | time() | timedelta() | Months():  # a datetime is a date
            found = _IN_QUOTES.fullmatch(written(value))
            return found[1] if found else str(value)
        case list() | tuple():
            return [plain(one) for one in value]
        case dict():
            return {storable(str(key)): plain(one) for key, one in value.items()}
        case Range():
            return storable(written(value))
    raise TypeError(f"{type(value).__name__} is no value of FEEL")


def _double(value: Any) -> float | str:
    """The nearest double; the digits of a number that is beyond all doubles."""
    try:
        near = float(value)
    except OverflowError:
        return str(value)
    return near if near - near == 0 else str(value)
