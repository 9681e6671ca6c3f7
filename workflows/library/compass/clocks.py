"""Legal clocks: from the moments of an incident to the moment a duty must be done.

A clock is data: `{"trigger": "detected", "amount": 72, "unit": "hours"}`. Fields:

    trigger   detected, confirmed, classified, material, paid, or `after:<obligation code>` (counted from when that
              obligation was met, or, while it is not, from its deadline)
    amount    a whole number
    unit      hours               elapsed time
              days                periods of 24 hours
              months              calendar months, same wall time in `timezone`; the 31st becomes the month's last day
              business_days       by `calendar` (us_federal or weekdays), dates in `timezone`
              days_after_year_end dates in `timezone`
    timezone  IANA name, default UTC
    cutoff    HH:MM: the deadline is that wall time of its date. Default: the trigger's own wall time, which is never
              later than the end of the day that the law allows
    backstop  true: the deadline is not later than this one, unless the other clocks' trigger itself came after it

`confirmed` falls back to `detected` while it is not known: the earlier of the two is the safe one.
"""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from workflows.library.compass.calendars import CALENDARS, add_business_days

TRIGGERS: Final = ("detected", "confirmed", "classified", "material", "paid")
UNITS: Final = ("hours", "days", "months", "business_days", "days_after_year_end")
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
    timezone: str = "UTC"
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
        timezone = data.get("timezone", "UTC")
        try:
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

    def runs_out(self, start: datetime) -> datetime:
        """When the clock that starts at `start` (aware) runs out, in UTC. Raises OutOfRange."""
        try:
            return self._runs_out(start)
        except (OverflowError, ValueError) as error:
            raise OutOfRange(f"no deadline can be reckoned from {start.isoformat()}") from error

    def _runs_out(self, start: datetime) -> datetime:
        if self.unit == "hours":
            return start.astimezone(UTC) + timedelta(hours=self.amount)
        zone = ZoneInfo(self.timezone)
        local = start.astimezone(zone)
        if self.unit == "days":
            end = (start.astimezone(UTC) + timedelta(days=self.amount)).astimezone(zone)
        elif self.unit == "months":
            end = datetime.combine(add_months(local.date(), self.amount), local.time(), zone)
        elif self.unit == "business_days":
            end = datetime.combine(add_business_days(local.date(), self.amount, self.calendar), local.time(), zone)
        else:
            end = datetime.combine(date(local.year, 12, 31) + timedelta(days=self.amount), time(23, 59, 59), zone)
        if self.cutoff is not None:
            end = datetime.combine(end.date(), self.cutoff, zone)
        return end.astimezone(UTC)


def add_months(day: date, months: int) -> date:
    """The same day `months` later, or the last day of that month if it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    month += 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


@dataclass(frozen=True, slots=True)
class Deadline:
    at: datetime
    #: the trigger it was reckoned from
    trigger: str
    #: when that trigger happened
    since: datetime


def deadline(clocks: Sequence[Clock], moments: Mapping[str, datetime]) -> Deadline | None:
    """The moment that the clocks together give; None while none of their triggers has happened."""
    due = _earliest([clock for clock in clocks if not clock.backstop], moments)
    limit = _earliest([clock for clock in clocks if clock.backstop], moments)
    if due is None or limit is None:
        return due or limit
    if due.since > limit.at:
        return due
    return min(due, limit, key=lambda found: found.at)


def _earliest(clocks: Sequence[Clock], moments: Mapping[str, datetime]) -> Deadline | None:
    found: list[Deadline] = []
    for clock in clocks:
        trigger = clock.trigger
        if trigger == "confirmed" and trigger not in moments:
            trigger = "detected"
        if trigger in moments:
            found.append(Deadline(clock.runs_out(moments[trigger]), trigger, moments[trigger].astimezone(UTC)))
    return min(found, key=lambda one: one.at, default=None)
