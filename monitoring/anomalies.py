"""What is unusual now, and was in the last hours: Note [Anomalies] in `monitoring.core.anomalies`."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import Error

from erip.foundation.db.connections import release_connections
from erip.foundation.service import once
from monitoring import store
from monitoring.core.anomalies import HOUR, NAMED, Finding, Judgement, Named, hours, judge, weeks_before
from monitoring.core.frames import TIERS
from monitoring.store import Known

#: from what is listed first to what is listed last
_ORDER = (Finding.UNUSUAL, Finding.USUAL, Finding.UNKNOWN, Finding.TOO_LITTLE)


@dataclass(frozen=True, slots=True)
class Unusual:
    """What is said of one named series. judgement: of the last ten minutes."""

    named: Named
    judgement: Judgement
    rate: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """An hour that was unusual. until: its end, in seconds since the epoch."""

    named: Named
    until: int
    judgement: Judgement

    @property
    def sentence(self) -> str:
        """What is said of it to a person."""
        found = self.judgement
        way = "more" if (found.deviations or 0.0) > 0 else "less"
        return f"{self.named.name}: {found.value:,.3g}, {way} than the {found.median:,.3g} that are usual at this hour."


#: seconds before now that are compared; seconds between two readings of the marks, and hours that they cover
RECENT, MARKS_EVERY, MARKED_HOURS = 600, 600.0, 14 * 24


def look(now: float, *, back: int = 24) -> tuple[list[Unusual], list[Mark]]:
    """All named series, the most unusual first; and the hours among the last `back` that were unusual, in the order of
    time. Three statements, bounded whatever is stored. Raises django.db.Error."""
    wanted = {one.metric for one in NAMED}
    known = [one for one in store.read_series() if one.series.metric in wanted]
    groups = {number: _places(one, known) for number, one in enumerate(NAMED)}
    # The hour that goes on is compared with whole hours: nobody knows yet how it ends.
    going_on = int(now // HOUR * HOUR) + HOUR
    ended = hours(now, back)
    needed = {hour for one in (going_on, *ended) for hour in weeks_before(one)} | set(ended)
    values = store.read_at(groups, tier=TIERS[-1].seconds, at=sorted(needed))
    recent = store.read_mean(groups, tier=TIERS[0].seconds, since=now - RECENT, until=now)
    listed, marks = [], []
    for number, one in enumerate(NAMED):

        def past(hour: int, number: int = number) -> list[float]:
            found = (values.get((number, each)) for each in weeks_before(hour))
            return [value for value in found if value is not None]

        rate = next((each.rate for each in known if each.series.metric == one.metric), False)
        listed.append(Unusual(one, judge(recent.get(number), past(going_on), least=one.least), rate))
        for hour in ended:
            judgement = judge(values.get((number, hour)), past(hour), least=one.least)
            if judgement.finding is Finding.UNUSUAL:
                marks.append(Mark(one, hour, judgement))
    listed.sort(key=lambda one: (_ORDER.index(one.judgement.finding), -abs(one.judgement.deviations or 0.0)))
    return listed, sorted(marks, key=lambda mark: mark.until)


def _places(named: Named, known: Sequence[Known]) -> list[int]:
    """Of the series that are added up."""
    return [
        one.id
        for one in known
        if one.series.metric == named.metric and named.where.items() <= dict(one.series.labels).items()
    ]


class Marks:
    """The unusual hours of the last two weeks for pages, which do not wait for them: they are read in a thread of their
    own, at most once every MARKS_EVERY seconds, and only while somebody asks."""

    def __init__(self) -> None:
        self._known: Sequence[Mark] = ()
        self._lock = threading.Lock()
        self._next = 0.0

    def known(self) -> Sequence[Mark]:
        """What was read last; nothing at first."""
        with self._lock:
            due = time.monotonic() >= self._next
            if due:
                self._next = time.monotonic() + MARKS_EVERY
        if due:
            once("read-anomalies", self._read)
        return self._known

    def _read(self) -> None:
        try:
            self._known = look(time.time(), back=MARKED_HOURS)[1]
        except Error:
            # What was known stays: these hours are over.
            pass
        finally:
            release_connections()


marks = Marks()


def sentence(one: Unusual) -> str:
    """What is said of it to a person."""
    found = one.judgement
    if found.finding is Finding.TOO_LITTLE:
        return f"{one.named.name}: not enough data, {found.weeks} weeks of this hour are known."
    if found.value is None or found.deviations is None:
        return f"{one.named.name}: unknown now."
    unit = "/s" if one.rate else ""
    usual = f"usual at this hour of the week: {found.median:,.3g}{unit}"
    if found.finding is Finding.USUAL:
        return f"{one.named.name}: {found.value:,.3g}{unit}, as usual ({usual})."
    way = "more" if found.deviations > 0 else "less"
    return f"{one.named.name}: {found.value:,.3g}{unit}, {way} than usual ({usual})."
