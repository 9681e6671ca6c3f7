"""Stops of a clock: while one lasts, the period does not run.

Hours: the stopped time that falls into the period is added. Days: a day that is stopped from its first to its last
second is not counted; months get such days added at their end. A day that is stopped in part is counted, except in the
arguable reading. So a stop that a law counts otherwise never makes `due` later than that law does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Stop:
    """until: None while it lasts; what comes after that is not known, so nothing is added for it."""

    since: datetime
    until: datetime | None
    reason: str = ""
    by: str = ""
    article: str = ""


def united(stops: Sequence[Stop]) -> list[tuple[datetime, datetime, Stop]]:
    """The ended ones, in order and without overlaps: no second is added twice."""
    found: list[tuple[datetime, datetime, Stop]] = []
    for stop in sorted((one for one in stops if one.until is not None), key=lambda one: one.since):
        assert stop.until is not None
        since, until = stop.since.astimezone(UTC), stop.until.astimezone(UTC)
        if found:
            since = max(since, found[-1][1])
        if since < until:
            found.append((since, until, stop))
    return found


def elapsed(start: datetime, running: timedelta, stops: Sequence[Stop]) -> tuple[datetime, list[tuple[str, timedelta]]]:
    """When that much running time is over after `start` (UTC), and what was added for which stop."""
    added: list[tuple[str, timedelta]] = []
    end = start + running
    for since, until, stop in united(stops):
        since = max(since, start)
        if since >= until or since >= end:
            continue
        added.append((said(stop), until - since))
        end += until - since
    return end, added


def stopped_days(stops: Sequence[Stop], zone: ZoneInfo, *, in_part: bool) -> dict[date, str]:
    """The days that are stopped in whole, or also in part, with what stopped them."""
    found: dict[date, str] = {}
    for since, until, stop in united(stops):
        day, last = since.astimezone(zone).date(), until.astimezone(zone).date()
        while day <= last:
            begins = datetime.combine(day, time(0), zone).astimezone(UTC)
            ends = datetime.combine(day + timedelta(days=1), time(0), zone).astimezone(UTC)
            if (since <= begins and until >= ends) or (in_part and since < ends and until > begins):
                found.setdefault(day, said(stop))
            day += timedelta(days=1)
    return found


def said(stop: Stop) -> str:
    by = f" by {stop.by}" if stop.by else ""
    article = f" ({stop.article})" if stop.article else ""
    return f"stopped{by}: {stop.reason or 'no reason given'}{article}"
