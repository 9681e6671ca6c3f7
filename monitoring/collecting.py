"""Writes a frame every ten seconds, and what is said of every component.

Note [Who collects]
Every leader process gathers, whether it leads or waits; whoever inserts the row of a tick first has written it, and
everybody else's insert does nothing. So there is no lock that a frozen process could keep for long (what it began is
ended by PostgreSQL after four seconds: `store.frames.IDLE`), and no gap while another one takes over: the process that
wrote the last frame comes at once, the others two seconds later, and find it there.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import structlog
from django.db import transaction

from erip.foundation.process.background import database_service
from erip.foundation.service import Service
from monitoring import health, paging, store
from monitoring.alerting import Judging, as_stored
from monitoring.conf import conf
from monitoring.core.frames import TICK
from monitoring.core.series import Series, bounded
from monitoring.gathering import Gathering
from monitoring.heartbeat import Heartbeat
from monitoring.reporting import may_wait
from monitoring.store import work
from monitoring.watching import watching

log = structlog.get_logger(__name__)

#: seconds after the end of a tick: for the process that wrote the last frame, and for the others
FIRST, LATER = 0.3, 2.3
#: seconds between two tidyings; frames that one of them forgets or makes at most
TIDY_EVERY, MOST = 60.0, 2_000
#: coarse frames made at a time: each reads sixty others at most
ROLL = 10
#: seconds after which a silent process is forgotten
FORGET_AFTER = 600.0
#: what a real can hold
_LARGEST, _SMALLEST = 3.0e38, 1.0e-37


class Collector:
    """One candidate. For one thread."""

    def __init__(self) -> None:
        self._gathering = Gathering()
        self.judging = Judging()
        self._places: dict[Series, int] = {}
        self._mine = False
        #: messages that the last tick put on their way
        self.announced = 0
        self._tidied = -math.inf

    def rest(self, now: float) -> float:
        """Seconds until this process's next turn. now: seconds since the epoch."""
        into = now % TICK
        return (TICK - into) + (FIRST if self._mine else LATER)

    def tick(self) -> bool:
        """Gather, and write the frame of the tick that ended last unless it is there. Returns whether this process
        wrote it. Raises django.db.Error."""
        now = work.clock()
        at = datetime.fromtimestamp(now.timestamp() // TICK * TICK, UTC)
        reports = store.read_reports()
        found = self._gathering.reports(reports, now)
        # By this process's clock, which may differ from the database's: its observations go by it.
        seen, here = watching.observations(), time.time()
        found.update(self._gathering.probes(seen, here))
        newest = store.newest_frame()
        if newest is not None and newest >= at:
            self._mine = False
            self.judging.learn(now.timestamp())
            return False
        found.update(self._gathering.work(at))
        verdicts = health.verdicts(reports, 0.0, seen, here)
        found.update(self._gathering.verdicts(verdicts.values()))
        values = self._values(found)
        with transaction.atomic():
            self._mine = store.append_frame(at, values)
            if self._mine:
                counted, seconds = self._gathering.counted()
                store.add_totals(at, self._by_place(counted), seconds=seconds, tick=TICK)
            changed = store.note_states(verdicts.values()) if self._mine else []
            self.announced = 0
            if self._mine:
                self.announced = self.judging.tick(
                    self._frame(values),
                    at.timestamp(),
                    now=now.timestamp(),
                    causes=lambda: health.likely_causes(lambda: health.changes(reports, 0.0, here), verdicts, here),
                )
        for component in changed:
            log.warning("component_changed", component=component, state=str(verdicts[component].state))
        if self._mine and time.monotonic() - self._tidied >= TIDY_EVERY:
            self._tidied = time.monotonic()
            store.roll_up(at, most=ROLL)
            store.drop_old_frames(at, most=MOST)
            store.forget_reports(silent_for=FORGET_AFTER)
            store.forget_alerts(most=MOST)
        return self._mine

    def _values(self, found: Mapping[Series, tuple[bool, float]]) -> Sequence[float | None]:
        """The array of a frame. Series that are new get a place first."""
        if any(one not in self._places for one in found):
            self._learn(found)
        return [
            None if value is None else _real(value)
            for value in self._by_place({one: value for one, (_, value) in found.items()})
        ]

    def _by_place(self, found: Mapping[Series, float]) -> list[float | None]:
        """The values at their places; those of series without one are added up under `other`."""
        values: list[float | None] = [None] * max(self._places.values(), default=0)
        for one, value in found.items():
            number = self._places.get(one) or self._places.get(one.beyond())
            if number is not None:
                values[number - 1] = (values[number - 1] or 0.0) + value
        return values

    def _frame(self, values: Sequence[float | None]) -> dict[Series, float | None]:
        """The values as they are stored, by series."""
        return {one: as_stored(values[place - 1]) for one, place in self._places.items() if place <= len(values)}

    def _learn(self, found: Mapping[Series, tuple[bool, float]]) -> None:
        # Another process may have given them places since.
        self._places = {known.series: known.id for known in store.read_series()}
        new = {one: value for one, (_, value) in found.items() if one not in self._places}
        if not new:
            return
        kept = bounded(new, self._places)
        rates = {one.metric: rate for one, (rate, _) in found.items()}
        store.learn_series((one, rates[one.metric]) for one in kept if one not in self._places)
        self._places = {known.series: known.id for known in store.read_series()}


def _real(value: float) -> float | None:
    """What fits in PostgreSQL's `real`; None for what does not."""
    if not math.isfinite(value) or abs(value) > _LARGEST:
        return None
    return value if abs(value) > _SMALLEST else 0.0


def begin() -> Service:
    """Collect in this process from now on."""
    collector = Collector()
    sender, outage = paging.begin(collector.judging)
    frame_written = _export()
    heartbeat = Heartbeat(conf().heartbeat_url)
    heartbeat.begin()

    def turn() -> None:
        # The first tick that ended before this process began may lack its frame, so there is no rest before it.
        outage.hand_over()
        if collector.tick():
            frame_written()
            heartbeat.healthy()
        outage.remember()
        if collector.announced:
            sender.wake()
        service.rest(collector.rest(time.time()))

    service = database_service("collect", turn, keeps=False, back_off=(1.0, 10.0), expected=may_wait)
    return service.start()


def _export() -> Callable[[], None]:
    """What is told of each frame that this process wrote."""
    if not conf().otlp:
        return lambda: None
    # What nobody uses costs neither memory nor time.
    from monitoring.otlp import Exporter

    exporter = Exporter()
    exporter.service.start()
    return exporter.note
