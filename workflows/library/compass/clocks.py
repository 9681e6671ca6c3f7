"""Legal clocks: from the moments of an incident to the moment when a duty is due.

A clock is data: `{"trigger": "detected", "amount": 72, "unit": "hours"}`. Fields:

    trigger   detected, confirmed, classified, material, paid, or `after:<obligation code>` (counted from when that
              obligation was met, or, while it is not, from its deadline)
    amount    a whole number
    unit      hours               elapsed time
              days                calendar days; the day of the trigger is not counted
              months              the same date of a later month; the 31st becomes the month's last day
              business_days       by `calendar` (us_federal or weekdays); the day of the trigger is not counted
              days_after_year_end calendar days after 31 December of the trigger's year
    timezone  IANA name: the zone whose dates count. Default: the zones of the places of that law; the earliest deadline
              of them, see `zones.py`
    cutoff    HH:MM: the deadline is that wall time of its last day. Default: the day's last second
    backstop  true: the deadline is not later than this one, unless the other clocks' trigger itself came after it

Periods in days and months are dates, not multiples of 24 hours: they begin on the day after the trigger's and end with
the last day's last second, in the zone of that law (Regulation (EEC, Euratom) 1182/71, Art. 3(1) and (2); for the
statutes of the US the same follows from counting "calendar days"). A day of 23 hours, when the clocks change, is one
day. Hours are elapsed time. What a law may add at the end is left out, so that no deadline is later than the law allows
in any reading: the hour of the event, and the next working day after a holiday or a weekend (1182/71, Art. 3(4)).

`confirmed` falls back to `detected` while it is not known: the earlier of the two is the safe one.
"""

from calendar import monthrange
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from workflows.library.compass.calendars import CALENDARS, add_business_days

TRIGGERS: Final = ("detected", "confirmed", "classified", "material", "paid")
UNITS: Final = ("hours", "days", "months", "business_days", "days_after_year_end")
#: the last second of a day
_DAYS_END: Final = time(23, 59, 59)
_FIELDS: Final = frozenset({"trigger", "amount", "unit", "timezone", "cutoff", "backstop", "calendar"})
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
class Clock:
    trigger: str
    amount: int
    unit: str
    timezone: str | None = None
    cutoff: time | None = None
    backstop: bool = False
    calendar: str = "weekdays"

    @classmethod
    def of(cls, data: Any) -> "Clock":
        """Raises BadClock."""
        if not isinstance(data, Mapping):
            raise BadClock("a clock is an object")
        unknown = sorted(set(data) - _FIELDS)
        if unknown:
            raise BadClock(f"unknown field {unknown[0]!r}")
        trigger, amount, unit = data.get("trigger"), data.get("amount"), data.get("unit")
        if not isinstance(trigger, str) or not (trigger in TRIGGERS or trigger.startswith("after:")):
            raise BadClock(f"trigger must be one of {', '.join(TRIGGERS)}, or after:<obligation>")
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
        cutoff = data.get("cutoff")
        try:
            at = None if cutoff is None else time.fromisoformat(cutoff)
        except (ValueError, TypeError):
            raise BadClock(f"cutoff {cutoff!r} is not a time like 17:30") from None
        backstop, calendar = data.get("backstop", False), data.get("calendar", "weekdays")
        if not isinstance(backstop, bool):
            raise BadClock("backstop must be true or false")
        if calendar not in CALENDARS:
            raise BadClock(f"calendar must be one of {', '.join(CALENDARS)}")
        return cls(trigger, amount, unit, timezone, at, backstop, calendar)

    def runs_out(self, start: datetime, zones: Sequence[str] = ()) -> datetime:
        """When the clock that starts at `start` (aware) runs out, in UTC. Raises OutOfRange.

        `zones` are those of the places whose law it is, for a clock without a timezone; () is not known.
        """
        try:
            return self._runs_out(start, zones)
        except (OverflowError, ValueError) as error:
            raise OutOfRange(f"no deadline can be reckoned from {start.isoformat()}") from error

    def _runs_out(self, start: datetime, zones: Sequence[str]) -> datetime:
        if self.unit == "hours":
            return start.astimezone(UTC) + timedelta(hours=self.amount)
        if self.timezone is not None:
            zones = (self.timezone,)
        last_day = self._last_day()
        if not zones:
            return self._in_any_zone(start.astimezone(UTC), last_day)
        at = _DAYS_END if self.cutoff is None else self.cutoff
        return min(
            datetime.combine(last_day(start.astimezone(zone).date()), at, zone).astimezone(UTC)
            for zone in map(_zone, zones)
        )

    def _last_day(self) -> Callable[[date], date]:
        """From the trigger's day to the last day of the period."""
        amount, calendar = self.amount, self.calendar
        if self.unit == "days":
            return lambda day: day + timedelta(days=amount)
        if self.unit == "months":
            return lambda day: add_months(day, amount)
        if self.unit == "business_days":
            return lambda day: add_business_days(day, amount, calendar)
        return lambda day: date(day.year, 12, 31) + timedelta(days=amount)

    def _in_any_zone(self, start: datetime, last_day: Callable[[date], date]) -> datetime:
        """A moment that is not later than the end of the last day in any zone.

        The earliest end is in a zone where the trigger comes just before midnight: whole days after it, less the hour
        of a change of the clocks. The date there is UTC's, or the one before or after it.
        """
        day = start.date()
        days = min(last_day(one) - one for one in (day - timedelta(days=1), day, day + timedelta(days=1)))
        end = start + days - timedelta(hours=1)
        if self.cutoff is not None:
            end -= datetime.combine(day, _DAYS_END) - datetime.combine(day, self.cutoff)
        return end


@lru_cache(maxsize=600)
def _zone(name: str) -> ZoneInfo:
    """Cached here: zoneinfo itself caches eight zones, and reads the others from their files each time."""
    return ZoneInfo(name)


def add_months(day: date, months: int) -> date:
    """The same day `months` later, or the last day of that month if it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    month += 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


@dataclass(frozen=True, slots=True)
class Deadline:
    at: datetime
    #: the trigger from which the deadline is counted
    trigger: str
    #: when that trigger happened
    since: datetime


def deadline(clocks: Sequence[Clock], moments: Mapping[str, datetime], zones: Sequence[str] = ()) -> Deadline | None:
    """The deadline from all the clocks together; None while none of their triggers has happened."""
    due = _earliest([clock for clock in clocks if not clock.backstop], moments, zones)
    limit = _earliest([clock for clock in clocks if clock.backstop], moments, zones)
    if due is None or limit is None:
        return due or limit
    if due.since > limit.at:
        return due
    return min(due, limit, key=lambda found: found.at)


def _earliest(clocks: Sequence[Clock], moments: Mapping[str, datetime], zones: Sequence[str]) -> Deadline | None:
    found: list[Deadline] = []
    for clock in clocks:
        trigger = clock.trigger
        if trigger == "confirmed" and trigger not in moments:
            trigger = "detected"
        if trigger in moments:
            at = clock.runs_out(moments[trigger], zones)
            found.append(Deadline(at, trigger, moments[trigger].astimezone(UTC)))
    return min(found, key=lambda one: one.at, default=None)
