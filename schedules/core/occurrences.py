"""The moments of a schedule.

Note [Daylight saving]
A cron expression means the clock on the wall of its time zone. As in Debian's cron (the library `cronsim`): a time of
day that the clock jumps over in spring is made up for right after the jump; one that comes twice in autumn counts once,
the first time; and expressions that run every hour or every few minutes go by real time. An interval (`every`) knows no
clock on the wall.

Note [Jitter]
A start with `jitter` is later by an amount that follows from the schedule's name and the moment alone. So every process
works out the same, a restart moves nothing, and a preview shows what will happen.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from erip.foundation.moments import later
from schedules.core.spec import Spec
from workflows.core.calendars import is_business_day, knows, next_business_day

#: no days are closed for as long in a row, so none are looked at that lie as far back
_MOVED = timedelta(days=62)
_DAY = timedelta(days=1)
#: moments that closed days may leave out or move in a row before the search ends
_MOST_SKIPPED = 100_000


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One moment of a schedule, in UTC. planned: by the expression, before a closed day moved it."""

    at: datetime
    planned: datetime

    def starts(self, name: str, jitter: float) -> datetime:
        """When the run is due: Note [Jitter]. jitter: seconds."""
        return later(self.at, timedelta(seconds=round(jitter * _share(name, self.at), 3))) if jitter else self.at


def occurrences(spec: Spec, after: datetime) -> Iterator[Occurrence]:
    """The moments after `after` (with a zone), in their order, each once. May be endless."""
    if spec.at is not None:
        if spec.at > after:
            at = spec.at.astimezone(UTC)
            yield Occurrence(at, at)
    elif spec.every is not None:
        assert spec.anchor is not None
        yield from _interval(spec.every, spec.anchor.astimezone(UTC), after)
    elif spec.calendar is None:
        for at in _cron(spec, after):
            yield Occurrence(at, at)
    else:
        yield from _on_business_days(spec, after)


def _interval(every: float, anchor: datetime, after: datetime) -> Iterator[Occurrence]:
    number = max(0, math.floor((after - anchor).total_seconds() / every) + 1)
    while True:
        try:
            at = anchor + timedelta(seconds=number * every)
        except OverflowError:
            return
        if at > after:
            yield Occurrence(at, at)
        number += 1


def _cron(spec: Spec, after: datetime) -> Iterator[datetime]:
    assert spec.cron is not None
    last: datetime | None = None
    try:
        for found in CronSim(spec.cron, after.astimezone(ZoneInfo(spec.timezone))):
            at = found.astimezone(UTC)
            if at > after and (last is None or at > last):
                last = at
                yield at
    except OverflowError:
        return


def _on_business_days(spec: Spec, after: datetime) -> Iterator[Occurrence]:
    assert spec.calendar is not None
    zone = ZoneInfo(spec.timezone)
    last, in_vain = after, 0
    for planned in _cron(spec, _moved_after(spec.calendar, after, zone) if spec.on_holiday == "next" else after):
        local = planned.astimezone(zone)
        if not knows(spec.calendar, local.date()):
            return
        at: datetime | None = planned
        if not is_business_day(spec.calendar, local.date()):
            at = None
            if spec.on_holiday == "next":
                day = next_business_day(spec.calendar, local.date())
                at = datetime.combine(day, local.time(), zone).astimezone(UTC)
        if at is not None and at > last:
            last, in_vain = at, 0
            yield Occurrence(at, planned)
            continue
        in_vain += 1
        if in_vain > _MOST_SKIPPED:
            return


def _moved_after(calendar: str, after: datetime, zone: ZoneInfo) -> datetime:
    """A moment before all those that closed days may move beyond `after`: the end of the last business day before it.
    It is looked for day by day, since an expression may have a moment in each minute."""
    try:
        day = after.astimezone(zone).date() - _DAY
        oldest = day - _MOVED
    except OverflowError:
        return after
    while day > oldest and knows(calendar, day) and not is_business_day(calendar, day):
        day -= _DAY
    return datetime.combine(day, time.max, zone)


def _share(name: str, at: datetime) -> float:
    digest = hashlib.sha256(f"{name}\0{at.isoformat()}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
