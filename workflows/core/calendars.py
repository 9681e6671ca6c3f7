"""Business days: the public holidays and weekends of a country, or of one of its subdivisions.

The data is that of the package `holidays` (its version is pinned). It knows public holidays only: a bank's or a
company's own closed days are working days here.
"""

from datetime import date, timedelta
from functools import lru_cache
from typing import Any

from erip.foundation.without import parts_alone

#: a country (ISO 3166-1 alpha-2), or a country and a subdivision as the package spells it: DE, DE-BE, US-NY
MAX_NAME = 20
#: no country has as many closed days in a row
_LONGEST = 60


@lru_cache(maxsize=256)
def calendar_of(name: str) -> Any:
    """The calendar of that name. Raises ValueError with the reason."""
    # Here, because most processes never ask for it.
    import holidays
    from holidays.registry import EntityLoader

    country, _, subdivision = name.partition("-")
    if country not in EntityLoader.get_country_codes():
        raise ValueError(f'there is no calendar "{country}": name a country by its two letters, such as DE')
    # This country without the others: all of them are 280 modules, 8 MB and 60 ms.
    with parts_alone("holidays.countries"):
        entity: Any = getattr(holidays, country).get_entity()
    if subdivision and subdivision not in entity.subdivisions:
        some = ", ".join(f"{country}-{each}" for each in sorted(entity.subdivisions)[:5])
        raise ValueError(f'{country} has no part "{subdivision}" with its own holidays' + (f": {some}" if some else ""))
    # In English where the package has it: it would take the language of the machine, and names would differ.
    english = "en_US" in entity.supported_languages
    return entity(subdiv=subdivision or None, language="en_US" if english else None)


def is_business_day(calendar: str, day: date) -> bool:
    """Whether it is neither a public holiday nor a weekend there. Raises ValueError for an unknown calendar."""
    found = calendar_of(calendar)
    return day.weekday() not in found.weekend and day not in found


def knows(calendar: str, day: date) -> bool:
    """Whether the calendar's data covers this day: outside of it, a day without a holiday is not known to be open."""
    found = calendar_of(calendar)
    return bool(found.start_year <= day.year <= found.end_year)


def next_business_day(calendar: str, day: date) -> date:
    """This day, or the first business day after it."""
    for _ in range(_LONGEST):
        if is_business_day(calendar, day):
            return day
        day += timedelta(days=1)
    raise ValueError(f"{calendar} has no business day within {_LONGEST} days after {day}")
