"""Which days are closed, and why.

A calendar is named: `weekdays`, `us_federal` (5 U.S.C. 6103), `us_federal_closures` (the same, and what was closed by
order), `place` (that of the place whose law it is), or one of the package `holidays`: DE, DE-BE, US-CA.

What is not known to be closed is open: an estimated date of a holiday, a year outside of the package's data and the
holidays of a place that is not known are working days. So a gap in the data makes a deadline earlier, never later.
"""

from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from importlib.metadata import version
from typing import Final

from workflows.core.calendars import calendar_of
from workflows.core.clocks.federal import CLOSED_BY_ORDER, SATURDAY, us_federal_holidays

OWN: Final = ("weekdays", "us_federal", "us_federal_closures", "place")
#: no country has as many closed days in a row
_LONGEST: Final = 60
_DAY: Final = timedelta(days=1)
#: of a day: why it is closed; "" is open
Closed = Callable[[date], str]


def check(name: str) -> None:
    """Raises ValueError with the reason if there is no such calendar."""
    if name not in OWN:
        calendar_of(name)


def closed(name: str, place: str = "") -> Closed:
    """Why a day is closed in that calendar. place: whose calendar `place` is; "" is not known."""
    if name == "place":
        name = _of_place(place)
    if name == "weekdays":
        return _weekend
    if name == "us_federal":
        return _federal
    if name == "us_federal_closures":
        return _federal_or_by_order
    return lambda day: _by_package(name, day)


@lru_cache(maxsize=512)
def _of_place(place: str) -> str:
    """The place's calendar, or that of its country, which has fewer holidays."""
    for name in (place, place.split("-", 1)[0]):
        try:
            calendar_of(name)
        except ValueError:
            continue
        return name
    return "weekdays"


def _weekend(day: date) -> str:
    return ("Saturday" if day.weekday() == SATURDAY else "Sunday") if day.weekday() >= SATURDAY else ""


def _federal(day: date) -> str:
    return _weekend(day) or ("federal holiday (5 U.S.C. 6103)" if day in us_federal_holidays(day.year) else "")


def _federal_or_by_order(day: date) -> str:
    return _federal(day) or CLOSED_BY_ORDER.get(day, "")


@lru_cache(maxsize=4096)
def _by_package(name: str, day: date) -> str:
    found = calendar_of(name)
    if found.is_weekend(day):
        # Some countries move working days to weekends around their long holidays.
        return "" if found.is_working_day(day) else (_weekend(day) or "weekend")
    if not found.start_year <= day.year <= found.end_year:
        return ""
    names = [one for one in found.get_list(day) if "estimated" not in one]
    return f"{', '.join(names)} ({name})" if names else ""


def next_open(day: date, is_closed: Closed) -> tuple[date, list[tuple[date, str]]]:
    """This day or the first open one after it, and the closed ones before that."""
    skipped: list[tuple[date, str]] = []
    while (why := is_closed(day)) and len(skipped) < _LONGEST:
        skipped.append((day, why))
        day += _DAY
    return day, skipped


@lru_cache(maxsize=1)
def holidays_version() -> str:
    return version("holidays")
