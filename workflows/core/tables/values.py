"""The values of FEEL: their kinds, their equality and their order.

A number is an int, a float or a Decimal; a text is a str; dates and times are those of `datetime`; a duration of days
and time is a timedelta; one of years and months is `Months`; a list is a tuple, a context a dict; None is null.

Null is not false: a comparison of values that cannot be compared gives None, as FEEL's does (DMN 1.5, 10.3.2.13).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final


class Kind(StrEnum):
    NUMBER = "number"
    STRING = "string"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    DATE_TIME = "date and time"
    DAYS = "days and time duration"
    MONTHS = "years and months duration"
    LIST = "list"
    CONTEXT = "context"
    RANGE = "range"


#: kinds whose values have an order
ORDERED: Final = frozenset({Kind.NUMBER, Kind.STRING, Kind.DATE, Kind.TIME, Kind.DATE_TIME, Kind.DAYS, Kind.MONTHS})


@dataclass(frozen=True, slots=True, order=True)
class Months:
    """A duration of years and months. number: of months, negative for one backwards."""

    number: int


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`. closed: whether low and high are in it. endless: an end that is None is none; otherwise it
    is null, and nothing can be compared with it."""

    low: Any
    high: Any
    closed: tuple[bool, bool] = (True, True)
    endless: bool = False

    @property
    def end(self) -> Any:
        """An end that it has."""
        return self.high if self.low is None else self.low


_KINDS: Final[dict[type, Kind]] = {
    int: Kind.NUMBER, float: Kind.NUMBER, Decimal: Kind.NUMBER, str: Kind.STRING, bool: Kind.BOOLEAN,
    date: Kind.DATE, time: Kind.TIME, datetime: Kind.DATE_TIME, timedelta: Kind.DAYS, Months: Kind.MONTHS,
    tuple: Kind.LIST, list: Kind.LIST, dict: Kind.CONTEXT, Range: Kind.RANGE,
}  # fmt: skip


def kind_of(value: Any) -> Kind | None:
    """None for null, and for what is no value of FEEL."""
    return _KINDS.get(type(value))


def number(text: str) -> int | float | Decimal:
    """The number that a text says. Raises ValueError.

    Facts come as JSON, where 0.1 is the nearest float; so it is one here, too, where writing that float gives the same
    number again. Otherwise it is a Decimal.
    """
    exact = Decimal(text)
    if not exact.is_finite():
        raise ValueError("not a finite number")
    if exact == exact.to_integral_value() and abs(exact.adjusted()) < 400:
        return int(exact)
    near = float(exact)
    return near if Decimal(repr(near)) == exact else exact


def equal(one: Any, other: Any) -> bool | None:
    """Whether two values are the same; None if they are of different kinds."""
    if one is None or other is None:
        return one is other
    kind = kind_of(one)
    if kind is None or kind is not kind_of(other):
        return None
    if kind is Kind.LIST:
        return _all_equal(list(zip(one, other, strict=False))) if len(one) == len(other) else False
    if kind is Kind.CONTEXT:
        return _all_equal([(one[key], other[key]) for key in one]) if one.keys() == other.keys() else False
    if kind in (Kind.TIME, Kind.DATE_TIME) and _zoned(one) is not _zoned(other):
        return None
    return bool(one == other)


def _all_equal(pairs: list[tuple[Any, Any]]) -> bool | None:
    found: bool | None = True
    for one, other in pairs:
        same = equal(one, other)
        if same is False:
            return False
        if same is None:
            found = None
    return found


def less(one: Any, other: Any) -> bool | None:
    """Whether the one comes before the other; None if they cannot be compared."""
    kind = kind_of(one)
    if kind is None or kind not in ORDERED or kind is not kind_of(other):
        return None
    if kind in (Kind.TIME, Kind.DATE_TIME) and _zoned(one) is not _zoned(other):
        return None
    return bool(one < other)


def add(numbers: list[Any]) -> Any:
    """The sum of numbers, exact for what has a short decimal form."""
    if all(type(one) is int for one in numbers):
        return sum(numbers)
    exact = [Decimal(repr(one)) if isinstance(one, float) else Decimal(one) for one in numbers]
    return number(str(sum(exact, Decimal())))


def within(value: Any, range_: Range) -> bool | None:
    """Whether a value is in a range; None if an end is null or cannot be compared with it."""
    low, high = range_.low, range_.high
    if not range_.endless and (low is None or high is None):
        return None
    below = less(value, low) if low is not None else False
    above = less(high, value) if high is not None else False
    if below is None or above is None:
        return None
    if below or above:
        return False
    low_in, high_in = range_.closed
    after = low_in or low is None or less(low, value) is True
    return after and (high_in or high is None or less(value, high) is True)


def _zoned(value: Any) -> bool:
    return value.tzinfo is not None


class Among:
    """Values, and ranges of them, of which one asks often whether a value is one of them."""

    def __init__(self, listed: Sequence[Any]) -> None:
        self._single: dict[tuple[Kind | None, bool, Any], int] = {}
        self._others: list[tuple[int, Any]] = []
        for at, one in enumerate(listed):
            kind = kind_of(one)
            if kind in ORDERED or kind is Kind.BOOLEAN:
                self._single.setdefault(self._key(kind, one), at)
            else:
                self._others.append((at, one))

    @staticmethod
    def _key(kind: Kind | None, value: Any) -> tuple[Kind | None, bool, Any]:
        return kind, kind in (Kind.TIME, Kind.DATE_TIME) and _zoned(value), value

    def place(self, value: Any) -> int | None:
        """The place, from 0, of the one that it equals or lies in; of a value, before that of a range."""
        kind = kind_of(value)
        if kind in ORDERED or kind is Kind.BOOLEAN:
            found = self._single.get(self._key(kind, value))
            if found is not None:
                return found
        for at, one in self._others:
            if (within(value, one) if isinstance(one, Range) else equal(value, one)) is True:
                return at
        return None

    def has(self, value: Any) -> bool:
        return self.place(value) is not None


# --- texts of dates, times and durations -----------------------------------------------------------------

_DURATION: Final = re.compile(
    r"(?P<sign>-?)P(?:(?P<years>\d{1,9})Y)?(?:(?P<months>\d{1,9})M)?(?:(?P<days>\d{1,9})D)?"
    r"(?P<time>T(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,9}(?:\.\d{1,6})?)S)?)?"
)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME: Final = re.compile(r"\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:Z|[+-]\d{2}:\d{2})?")


def read_date(text: str) -> date:
    """Of `2026-12-24`. Raises ValueError."""
    if not _DATE.fullmatch(text):
        raise ValueError("a date is written as 2026-12-24")
    return date.fromisoformat(text)


def read_time(text: str) -> time:
    """Of `16:00:00`, with `Z` or `+01:00` if it has a zone. Raises ValueError."""
    if not _TIME.fullmatch(text):
        raise ValueError("a time is written as 16:00:00, 16:00:00Z or 16:00:00+01:00")
    return time.fromisoformat(text)


def read_date_time(text: str) -> datetime:
    """Of `2026-12-24T16:00:00`, with `Z` or `+01:00` if it has a zone; a date alone is its midnight. Raises
    ValueError."""
    day, mark, clock = text.partition("T")
    return datetime.combine(read_date(day), read_time(clock) if mark else time())


def read_duration(text: str) -> timedelta | Months:
    """Of `P1DT12H` (days and time) or `P1Y6M` (years and months). Raises ValueError."""
    found = _DURATION.fullmatch(text)
    parts = found.groupdict() if found else {}
    long = [parts.get(name) for name in ("years", "months")]
    short = [parts.get(name) for name in ("days", "hours", "minutes", "seconds")]
    if found is None or parts["time"] == "T" or not any(part is not None for part in [*long, *short]):
        raise ValueError("a duration is written as P1DT12H, PT90M or P1Y6M")
    if any(part is not None for part in long) and any(part is not None for part in short):
        raise ValueError("a duration has years and months, or days and time, not both")
    sign = -1 if parts["sign"] else 1
    if any(part is not None for part in long):
        return Months(sign * (12 * int(long[0] or 0) + int(long[1] or 0)))
    days, hours, minutes, seconds = short
    try:
        return sign * timedelta(
            days=int(days or 0), hours=int(hours or 0), minutes=int(minutes or 0), seconds=float(seconds or 0)
        )
    except OverflowError:
        raise ValueError("the duration is too long") from None


def written(value: Any) -> str:
    """The value as FEEL writes it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() | Decimal():
            return format(Decimal(repr(value)) if isinstance(value, float) else value, "f")
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        case datetime():
            return f'date and time("{_clock(value.isoformat())}")'
        case date():
            return f'date("{value.isoformat()}")'
        case time():
            return f'time("{_clock(value.isoformat())}")'
        case timedelta():
            return f'duration("{_days(value)}")'
        case Months():
            years, months = divmod(abs(value.number), 12)
            parts = (f"{years}Y" if years else "") + (f"{months}M" if months or not years else "")
            return f'duration("{"-" if value.number < 0 else ""}P{parts}")'
        case list() | tuple():
            return f"[{', '.join(written(one) for one in value)}]"
        case dict():
            return "{" + ", ".join(f"{written(key)}: {written(one)}" for key, one in value.items()) + "}"
        case Range(endless=True):
            start, after = (">", value.closed[0]) if value.high is None else ("<", value.closed[1])
            return f"{start}{'=' if after else ''} {written(value.end)}"
        case Range():
            low, high = value.closed
            return f"{'[' if low else '('}{written(value.low)}..{written(value.high)}{']' if high else ')'}"
    raise TypeError(f"{type(value).__name__} is no value of FEEL")


def _clock(text: str) -> str:
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _days(value: timedelta) -> str:
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    hours, rest = divmod(value.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    exact = f"{seconds}.{value.microseconds:06}".rstrip("0").rstrip(".") if value.microseconds else str(seconds)
    clock = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "") + (f"{exact}S" if exact != "0" else "")
    days = f"{value.days}D" if value.days or not clock else ""
    return f"{sign}P{days}{'T' + clock if clock else ''}"
