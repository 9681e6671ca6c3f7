"""Business days. United States federal holidays are computed from the statute (5 U.S.C. 6103), not listed."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

MONDAY, THURSDAY, SATURDAY, SUNDAY = 0, 3, 5, 6
_DAY = timedelta(days=1)


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    """The nth (1 is the first) such weekday of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def last_weekday(year: int, month: int, weekday: int) -> date:
    """The last such weekday of a month (other than December)."""
    last = date(year, month + 1, 1) - _DAY
    return last - timedelta(days=(last.weekday() - weekday) % 7)


def observed(day: date) -> date:
    """A holiday on a Saturday is observed the Friday before, one on a Sunday the Monday after (5 U.S.C. 6103(b))."""
    if day.weekday() == SATURDAY:
        return day - _DAY
    return day + _DAY if day.weekday() == SUNDAY else day


@lru_cache(maxsize=256)
def us_federal_holidays(year: int) -> frozenset[date]:
    """The days of `year` on which federal holidays are observed, New Year's Day of the next year included if on a
    Friday of this one."""
    days = {
        observed(date(year, 1, 1)),
        nth_weekday(year, 2, MONDAY, 3),  # Washington's Birthday
        last_weekday(year, 5, MONDAY),  # Memorial Day
        observed(date(year, 7, 4)),
        nth_weekday(year, 9, MONDAY, 1),  # Labor Day
        nth_weekday(year, 10, MONDAY, 2),  # Columbus Day
        observed(date(year, 11, 11)),  # Veterans Day
        nth_weekday(year, 11, THURSDAY, 4),  # Thanksgiving
        observed(date(year, 12, 25)),
        observed(date(year + 1, 1, 1)),
    }
    if year >= 1986:
        days.add(nth_weekday(year, 1, MONDAY, 3))  # Birthday of Martin Luther King, Jr.
    if year >= 2021:
        days.add(observed(date(year, 6, 19)))  # Juneteenth
    return frozenset(day for day in days if day.year == year)


def is_weekday(day: date) -> bool:
    return day.weekday() < SATURDAY


def is_us_business_day(day: date) -> bool:
    return is_weekday(day) and day not in us_federal_holidays(day.year)


CALENDARS: Final[dict[str, Callable[[date], bool]]] = {
    "weekdays": is_weekday,
    "us_federal": is_us_business_day,
}


def add_business_days(day: date, amount: int, calendar: str) -> date:
    """The amount-th business day after `day`; `day` itself is never counted.

    So after an event on a non-business day, the count starts at the next business day, as in Form 8-K's General
    Instruction B.1.
    """
    is_business_day = CALENDARS[calendar]
    while amount > 0:
        day += _DAY
        if is_business_day(day):
            amount -= 1
    return day
