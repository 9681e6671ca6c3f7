"""A legal clock as data: `{"trigger": "detected", "amount": 72, "unit": "hours"}`. Fields:

    trigger   one of TRIGGERS; `after:<obligation code>` (counted from when that obligation was met, or, while it is
              not, from its deadline) or `updated:<obligation code>` (the same, but from its latest update)
    fallback  triggers that stand in for it while its moment is not known, the earliest of them. Default: FALLBACKS
    requires  triggers without which the clock does not run, such as the classification as a major incident
    amount    a whole number
    unit      hours               elapsed time
              days                calendar days; the day of the trigger is not counted
              months              the same date of a later month; the 31st becomes the month's last day
              business_days       by `calendar`; the day of the trigger is not counted
              days_after_year_end calendar days after 31 December of the trigger's year
    first_day true: the day of the trigger is day one (days and business days)
    calendar  for business days, see `calendars.py`; default: weekdays
    timezone  IANA name: the zone whose dates count. Default: the zones of the places of that law, see `zones.py`
    cutoff    HH:MM: the deadline is that wall time of its last day. Default: the day's last second
    backstop  true: the deadline is not later than this one, unless the other clocks' trigger itself came after it
    reading   `arguable`: the clock is one that a lawyer may defend; it moves `arguable_until` only
    ends      what a law adds at the end, see `End`
    article   where the clock stands, if not in the obligation's citation

Periods in days and months are dates, not multiples of 24 hours: they begin on the day after the trigger's and end with
the last day's last second, in the zone of that law (Regulation (EEC, Euratom) 1182/71, Art. 3(1) and (2); for the
statutes of the US the same follows from counting "calendar days"). A day of 23 hours, when the clocks change, is one
day. Hours are elapsed time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, time
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from workflows.core.clocks import calendars

TRIGGERS: Final = (
    "incident", "suspected", "detected", "believed", "aware", "confirmed", "determined", "classified", "material",
    "paid", "fix_available", "handled",
)  # fmt: skip
#: While a moment is not known, the first group with a known one stands in for it, the earliest of that group. An
#: earlier word comes before a later one, since its moment is the safe one.
FALLBACKS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "incident": (("suspected", "detected"), ("believed",), ("aware", "confirmed")),
    "detected": (("suspected",),),
    "suspected": (("detected",),),
    "believed": (("suspected", "detected"), ("aware", "confirmed", "determined")),
    "aware": (("confirmed",), ("believed", "suspected", "detected"), ("determined",)),
    "confirmed": (("aware",), ("believed", "suspected", "detected"), ("determined",)),
    "determined": (("confirmed", "aware"), ("believed", "suspected", "detected")),
}
UNITS: Final = ("hours", "days", "months", "business_days", "days_after_year_end")
STAGES: Final = ("after:", "updated:")
EU_ARTICLE: Final = "Regulation (EEC, Euratom) 1182/71, Art. 3"
_FIELDS: Final = frozenset(
    {
        "trigger", "fallback", "requires", "amount", "unit", "first_day", "calendar", "timezone", "cutoff", "backstop",
        "reading", "ends", "article",
    }
)  # fmt: skip
_END_FIELDS: Final = frozenset({"rule", "calendar", "cutoff", "article", "strict", "needs"})
# Centuries: keeps every sum inside what datetime can hold.
_MOST: Final = {
    "hours": 1_000_000,
    "days": 40_000,
    "months": 1_200,
    "business_days": 20_000,
    "days_after_year_end": 366,
}


class BadClock(ValueError):
    """The clock cannot be read; the message says what is wrong with it."""


class OutOfRange(ValueError):
    """The moment lies where no deadline can be reckoned (years 1 and 9999)."""


@dataclass(frozen=True, slots=True)
class End:
    """What a law adds at the end of a period.

    rule: `eu` is Art. 3 of Regulation 1182/71: the hour of the event is not counted, other periods than hours end on a
    working day, and two days or more include two working days. `working_day`: a period that ends on a closed day ends
    on the next open one, at `cutoff` if there is one.
    strict: it moves `due` as well, and not only `arguable_until`. needs: a fact of the organisation without which it
    does not apply; "" is none.
    """

    rule: str
    calendar: str = "place"
    cutoff: time | None = None
    article: str = ""
    strict: bool = False
    needs: str = ""

    @classmethod
    def of(cls, data: Any) -> "End":
        """Raises BadClock."""
        if not isinstance(data, Mapping):
            raise BadClock("ends must be a list of objects")
        if unknown := sorted(set(data) - _END_FIELDS):
            raise BadClock(f"unknown field {unknown[0]!r} in ends")
        rule = data.get("rule")
        if rule not in ("eu", "working_day"):
            raise BadClock("rule in ends must be eu or working_day")
        strict = _flag(data, "strict")
        article = _text(data, "article") or (EU_ARTICLE if rule == "eu" else "")
        if not article:
            raise BadClock("ends: the rule working_day needs an article")
        return cls(
            rule, _calendar(data, "place"), _time(data, "cutoff"), article, strict, _text(data, "needs")
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Clock:
    trigger: str
    amount: int
    unit: str
    timezone: str | None = None
    cutoff: time | None = None
    backstop: bool = False
    calendar: str = "weekdays"
    #: None: those of FALLBACKS
    fallback: tuple[str, ...] | None = None
    requires: tuple[str, ...] = ()
    first_day: bool = False
    arguable: bool = False
    ends: tuple[End, ...] = ()
    article: str = ""

    @classmethod
    def of(cls, data: Any) -> "Clock":
        """Raises BadClock."""
        if not isinstance(data, Mapping):
            raise BadClock("a clock is an object")
        unknown = sorted(set(data) - _FIELDS)
        if unknown:
            raise BadClock(f"unknown field {unknown[0]!r}")
        trigger, amount, unit = data.get("trigger"), data.get("amount"), data.get("unit")
        if not isinstance(trigger, str) or not (trigger in TRIGGERS or trigger.startswith(STAGES)):
            raise BadClock(f"trigger must be one of {', '.join(TRIGGERS)}, or after:<obligation>, updated:<obligation>")
        if unit not in UNITS:
            raise BadClock(f"unit must be one of {', '.join(UNITS)}")
        if not isinstance(amount, int) or isinstance(amount, bool) or not 0 < amount <= _MOST[unit]:
            raise BadClock(f"amount must be a whole number from 1 to {_MOST[unit]}")
        timezone = data.get("timezone")
        try:
            if timezone is not None:
                ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            raise BadClock(f"unknown timezone {timezone!r}") from None
        first_day = _flag(data, "first_day")
        if first_day and unit not in ("days", "business_days"):
            raise BadClock("first_day is for days and business days")
        reading = data.get("reading", "strict")
        if reading not in ("strict", "arguable"):
            raise BadClock("reading must be strict or arguable")
        ends = data.get("ends", [])
        if not isinstance(ends, list) or len(ends) > 5:
            raise BadClock("ends must be a list of at most 5 objects")
        return cls(
            trigger,
            amount,
            unit,
            timezone,
            _time(data, "cutoff"),
            _flag(data, "backstop"),
            _calendar(data, "weekdays"),
            _words(data, "fallback"),
            _words(data, "requires") or (),
            first_day,
            reading == "arguable",
            tuple(End.of(one) for one in ends),
            _text(data, "article"),
        )


def _flag(data: Mapping[str, Any], name: str) -> bool:
    value = data.get(name, False)
    if not isinstance(value, bool):
        raise BadClock(f"{name} must be true or false")
    return value


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name, "")
    if not isinstance(value, str) or len(value) > 300:
        raise BadClock(f"{name} must be a text of at most 300 characters")
    return value


def _time(data: Mapping[str, Any], name: str) -> time | None:
    value = data.get(name)
    try:
        read = None if value is None else time.fromisoformat(value)
    except (ValueError, TypeError):
        read = time(tzinfo=UTC)
    if read is not None and read.tzinfo is not None:
        raise BadClock(f"{name} {value!r} is not a time like 17:30")
    return read


def _calendar(data: Mapping[str, Any], default: str) -> str:
    value = data.get("calendar", default)
    if not isinstance(value, str):
        raise BadClock("calendar must be a name")
    try:
        calendars.check(value)
    except ValueError as error:
        raise BadClock(f"calendar must be one of {', '.join(calendars.OWN)}, or of a country: {error}") from None
    return value


def _words(data: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(one in TRIGGERS for one in value):
        raise BadClock(f"{name} must be a list of {', '.join(TRIGGERS)}")
    return tuple(value)
