"""Running one clock from one moment: `due`, the earliest reading of the law, and `arguable`, the latest one that can be
defended.

`due` leaves out what a law may add at the end, so that it is not later than the law allows in any reading. What is not
known (the place, its zone, its holidays) makes both earlier, never later: of several places or zones the earliest
counts.
"""

from calendar import monthrange
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache, partial
from typing import Final
from zoneinfo import ZoneInfo

from workflows.core.clocks.calendars import Closed, closed, next_open
from workflows.core.clocks.clock import EU_ARTICLE, Clock, End, OutOfRange
from workflows.core.clocks.stopping import Stop, elapsed, stopped_days
from workflows.core.clocks.where import Where

#: the last second of a day
DAYS_END: Final = time(23, 59, 59)
#: skipped days that an explanation lists
LISTED: Final = 120
_DAY: Final = timedelta(days=1)
Skipped = tuple[date, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """at: in UTC. zone, place: whose dates were counted; "" is not known. article: what the reading rests on beyond the
    clock itself. skipped: days that were not counted, the first LISTED. how: each step of the computation, a sentence
    each."""

    at: datetime
    zone: str = ""
    place: str = ""
    article: str = ""
    skipped: tuple[Skipped, ...] = ()
    how: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reckoned:
    due: Reading
    arguable: Reading


def reckon(
    clock: Clock,
    start: datetime,
    where: Sequence[Where] = (),
    *,
    stops: Sequence[Stop] = (),
    facts: Collection[str] = (),
    explain: bool = False,
) -> Reckoned:
    """Both readings of the clock that starts at `start` (aware). facts: what holds of the organisation, for ends that
    need it. explain: also fill `how`, which takes longer than the rest. Raises OutOfRange."""
    if clock.unit == "hours" and not (clock.ends or stops or explain):
        # The same everywhere, and by far the most frequent.
        try:
            only = Reading(start.astimezone(UTC) + timedelta(hours=clock.amount), article=clock.article)
        except OverflowError as error:
            raise _out_of_range(start) from error
        return Reckoned(only, only)
    try:
        found = [
            _at(clock, start, one.place, zone, stops, facts, explain)
            for one in (where or (Where(),))
            for zone in ((clock.timezone,) if clock.timezone else (one.zones or ("",)))
        ]
    except (OverflowError, ValueError) as error:
        raise _out_of_range(start) from error
    if len(found) == 1:
        return found[0] if found[0].arguable.at >= found[0].due.at else Reckoned(found[0].due, found[0].due)
    due = min((one.due for one in found), key=lambda one: one.at)
    arguable = min((one.arguable for one in found), key=lambda one: one.at)
    return Reckoned(due, arguable if arguable.at > due.at else due)


def _out_of_range(start: datetime) -> OutOfRange:
    return OutOfRange(f"no deadline can be reckoned from {start.isoformat()}")


def _at(
    clock: Clock, start: datetime, place: str, zone: str, stops: Sequence[Stop], facts: Collection[str], explain: bool
) -> Reckoned:
    if not zone and clock.unit != "hours":
        # Where nobody knows whose days count, nothing is added at the end either.
        anywhere = _in_any_zone(clock, start.astimezone(UTC), stops)
        return Reckoned(anywhere, anywhere)
    count = _hours if clock.unit == "hours" else _dates
    ends = tuple(end for end in clock.ends if _holds(end, facts))
    strict = tuple(end for end in ends if end.strict)
    due = count(clock, start, place, zone, stops, strict, False, explain)
    if not ends and not stops:
        return Reckoned(due, due)
    return Reckoned(due, count(clock, start, place, zone, stops, ends, True, explain))


def _holds(end: End, facts: Collection[str]) -> bool:
    return not end.needs or end.needs in facts


def _hours(
    clock: Clock,
    start: datetime,
    place: str,
    zone: str,
    stops: Sequence[Stop],
    ends: Sequence[End],
    arguable: bool,
    explain: bool,
) -> Reading:
    began = start.astimezone(UTC)
    story = _Story(clock, start, zone, explain)
    if arguable and any(end.rule == "eu" for end in ends):
        began = began.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        story.rests_on(f"{EU_ARTICLE}(1)")
        story.tell(lambda: f"the hour of the event is not counted: {_written(began, zone)} ({EU_ARTICLE}(1))")
    at, added = elapsed(began, timedelta(hours=clock.amount), stops)
    story.tell(lambda: f"{clock.amount} hours of elapsed time; weekends and holidays count")
    story.tell_all([f"+ {more} {why}" for why, more in added])
    for end in ends:
        if end.rule == "working_day" and zone:
            day, over = next_open(at.astimezone(_zone(zone)).date(), closed(end.calendar, place))
            if over:
                at = _wall(day, end.cutoff or DAYS_END, zone)
                story.moved(day, over, end.article)
    return story.ended(at, place)


def _dates(
    clock: Clock,
    start: datetime,
    place: str,
    zone: str,
    stops: Sequence[Stop],
    ends: Sequence[End],
    arguable: bool,
    explain: bool,
) -> Reading:
    where = _zone(zone)
    began = start.astimezone(where).date()
    off = stopped_days(stops, where, in_part=arguable) if stops else {}
    is_closed = closed(clock.calendar, place) if clock.unit == "business_days" else None
    story = _Story(clock, start, zone, explain)
    day, skipped = _last_day(clock, began, is_closed, off)
    story.tell(lambda: _counted(clock, began))
    story.left_out(skipped)
    cutoff = clock.cutoff
    for end in ends:
        before = day
        if end.rule == "eu" and arguable:
            day, over = _eu(began, day, clock, closed(end.calendar, place))
        elif end.rule == "working_day":
            day, over = next_open(day, closed(end.calendar, place))
        else:
            continue
        if day != before:
            cutoff = end.cutoff or cutoff
            story.moved(day, over, end.article)
    return story.ended(_wall(day, cutoff or DAYS_END, zone), place)


class _Story:
    """How a reading came about. Writing the sentences takes longer than reckoning, so they are written on request."""

    def __init__(self, clock: Clock, start: datetime, zone: str, explain: bool) -> None:
        self._explain, self._zone = explain, zone
        self._how: list[str] = []
        self._articles = [clock.article] if clock.article else []
        self._skipped: list[Skipped] = []
        self.tell(lambda: f"starts {_written(start, zone)}")

    def tell(self, sentence: Callable[[], str]) -> None:
        if self._explain:
            self._how.append(sentence())

    def tell_all(self, sentences: Sequence[str]) -> None:
        for one in sentences:
            self.tell(partial(str, one))

    def rests_on(self, article: str) -> None:
        self._articles.append(article)

    def left_out(self, days: Sequence[Skipped]) -> None:
        self._skipped.extend(days)
        if days:
            self.tell(lambda: f"not counted: {_listed(days)}")

    def moved(self, to: date, over: Sequence[Skipped], article: str) -> None:
        self._skipped.extend(over)
        self.rests_on(article)
        self.tell(lambda: f"{_listed(over)}: it ends on {to:%A} {to} ({article})")

    def ended(self, at: datetime, place: str) -> Reading:
        self.tell(lambda: f"ends {_written(at, self._zone)}")
        skipped = tuple(self._skipped[:LISTED])
        return Reading(at, self._zone, place, "; ".join(self._articles), skipped, tuple(self._how))


def _listed(days: Sequence[Skipped]) -> str:
    more = f" and {len(days) - LISTED} more" if len(days) > LISTED else ""
    return ", ".join(f"{day} ({why})" for day, why in days[:LISTED]) + more


def _last_day(clock: Clock, began: date, is_closed: Closed | None, off: dict[date, str]) -> tuple[date, list[Skipped]]:
    """The last day of the period, and the days that were not counted."""
    if clock.unit == "months":
        return _lengthened(began, add_months(began, clock.amount), off)
    if clock.unit == "days_after_year_end":
        began = date(began.year, 12, 31)
    elif is_closed is None and not off:
        return began + timedelta(days=clock.amount - clock.first_day), []
    day, left, skipped = began - _DAY if clock.first_day else began, clock.amount, list[Skipped]()
    while left:
        day += _DAY
        why = off.get(day, "") or (is_closed(day) if is_closed else "")
        if why:
            skipped.append((day, why))
        else:
            left -= 1
    return day, skipped


def _lengthened(began: date, end: date, off: dict[date, str]) -> tuple[date, list[Skipped]]:
    """A day more for each stopped day within the period, those that come in by that included."""
    skipped: list[Skipped] = []
    for day in sorted(off):
        if began < day <= end:
            skipped.append((day, off[day]))
            end += _DAY
    return end, skipped


def _eu(began: date, day: date, clock: Clock, is_closed: Closed) -> tuple[date, list[Skipped]]:
    """Art. 3(4): a period ends on a working day. Art. 3(5): two days or more include two working days."""
    last, skipped = next_open(day, is_closed)
    if clock.unit == "days" and clock.amount >= 2:
        while sum(not is_closed(began + n * _DAY) for n in range(1, (last - began).days + 1)) < 2:
            last, more = next_open(last + _DAY, is_closed)
            skipped = [*skipped, *more]
    return last, skipped


def _in_any_zone(clock: Clock, start: datetime, stops: Sequence[Stop]) -> Reading:
    """A moment that is not later than the end of the last day in any zone.

    The earliest end is in a zone where the trigger comes just before midnight: whole days after it, less the hour of a
    change of the clocks. The date there is UTC's, or the one before or after it. Stops count where they cover a day in
    every zone.
    """
    day = start.date()
    # A day and a half at each end: the zones are up to 14 hours ahead of UTC and 12 behind it.
    slack = timedelta(hours=38)
    inner = [
        Stop(stop.since + slack, stop.until - slack, stop.reason, stop.by, stop.article)
        for stop in stops
        if stop.until is not None and stop.until - stop.since > 2 * slack
    ]
    off = stopped_days(inner, _zone("UTC"), in_part=False) if inner else {}
    is_closed = closed("weekdays" if clock.calendar == "place" else clock.calendar)
    is_closed_here = is_closed if clock.unit == "business_days" else None
    days = min(
        _last_day(clock, one, is_closed_here, off)[0] - one for one in (day - timedelta(days=1), day, day + _DAY)
    )
    end = start + days - timedelta(hours=1)
    if clock.cutoff is not None:
        end -= datetime.combine(day, DAYS_END) - datetime.combine(day, clock.cutoff)
    how = (
        f"starts {_written(start, '')}",
        "the place, and so its time zone, is not known: the end is one that is not later in any zone",
        f"ends {_written(end, '')}",
    )
    return Reading(end, article=clock.article, how=how)


def add_months(day: date, months: int) -> date:
    """The same day `months` later, or the last day of that month if it has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    month += 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def _counted(clock: Clock, began: date) -> str:
    first = f"{began:%A} {began}"
    if clock.unit == "months":
        return f"{clock.amount} months: the same date as {first}, or the last day of that month"
    if clock.unit == "days_after_year_end":
        return f"{clock.amount} days after 31 December {began.year}"
    unit = "business days" if clock.unit == "business_days" else "calendar days"
    return f"{clock.amount} {unit}; {first} is {'day one' if clock.first_day else 'not counted'}"


@lru_cache(maxsize=600)
def _zone(name: str) -> ZoneInfo:
    """Cached here: zoneinfo itself caches eight zones, and reads the others from their files each time."""
    return ZoneInfo(name)


def _wall(day: date, at: time, zone: str) -> datetime:
    """The wall time in UTC. If it comes twice, since the clocks go back, the first; if it does not come, since they go
    forward, the moment before they do or later by no more than the gap."""
    return datetime.combine(day, at, _zone(zone)).astimezone(UTC)


def _written(at: datetime, zone: str) -> str:
    local = at.astimezone(_zone(zone)) if zone else at.astimezone(UTC)
    return f"{local:%A} {local.isoformat(timespec='seconds')}{' ' + zone if zone else ''}"
