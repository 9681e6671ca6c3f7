"""United States federal holidays, computed from the statute (5 U.S.C. 6103), not listed; and the days on which the
President closed the federal offices besides."""

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


#: Closed by an order of the President. Whether a filing day falls out for it, each agency decides: so such a day moves
#: only the arguable reading. Source: Federal Register, https://www.federalregister.gov
CLOSED_BY_ORDER: Final = {
    date(2018, 12, 24): "closed by Executive Order 13854",
    date(2019, 12, 24): "closed by Executive Order 13900",
    date(2020, 12, 24): "closed by Executive Order 13971",
    date(2024, 12, 24): "closed by Executive Order 14129",
    date(2025, 1, 9): "closed for the National Day of Mourning for President Carter",
}
