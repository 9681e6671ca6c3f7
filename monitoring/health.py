"""What is said of every component: by the reports of processes, the looks of the leaders, and this process's own.

Works while PostgreSQL or Redis is away: then this process's own looks say so, and what others reported last grows old
until it is unknown.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from django.db import Error

from erip.foundation.db.connections import release_connections
from erip.foundation.service import once
from monitoring import store
from monitoring.conf import conf
from monitoring.core.causes import Cause, rank
from monitoring.core.changes import Change, Reporting, heard, merged, of_lives, replaced
from monitoring.core.components import (
    PROCESSES,
    Life,
    Observation,
    State,
    Verdict,
    freshest,
    of_observation,
    of_processes,
)
from monitoring.probes import probes
from monitoring.store import Reported, StoredState
from monitoring.watching import watching

log = structlog.get_logger(__name__)

#: seconds that a caller waits for a first look, and for the reports
PATIENCE = 2.5
#: seconds for which the reports are good for all callers
KNOWN_FOR = 1.0
#: seconds within which processes report again after a failover, which empties the table of reports
REPORTS_AGAIN = 30.0


@dataclass(frozen=True, slots=True)
class Status:
    """A verdict and since when it has been so; None: unknown. restarted: when the component was last seen to have been
    started anew."""

    verdict: Verdict
    since: datetime | None
    restarted: datetime | None


def verdicts(
    reports: Sequence[Reported], read_age: float | None, seen: Sequence[Observation], now: float
) -> dict[str, Verdict]:
    """What is said of every component that this deployment has, in the order of dependence.

    read_age: seconds since the reports were read; None: they could not be read at all. now: seconds since the epoch.
    """
    found = {name: of_observation(one, now) for name, one in freshest(seen).items()}
    for component in probes(conf()):
        if component not in found:
            found[component] = Verdict(component, State.UNKNOWN, "Nobody has looked at it yet.", None)
    gone = {id(reports[place]) for place in replaced(_lives(reports, now - (read_age or 0.0)))}
    for kind in PROCESSES:
        lives = [
            Life(one.kind, one.host, one.pid, one.age)
            for one in reports
            # What was replaced on its host is no longer missed.
            if one.kind == kind and not one.ended and id(one) not in gone
        ]
        if any(not one.ended for one in reports if one.kind == kind):
            _reported[kind] = now
        # One that ended in good order is still among the reports; where there is none at all, they were lost.
        there = any(one.kind == kind for one in reports)
        lost = not there and now - _reported.get(kind, -math.inf) <= REPORTS_AGAIN
        if lives or kind != "autoscaler":
            found[kind] = of_processes(kind, lives, read_age, lost=lost)
    return found


#: when processes of a kind were last among the reports that this process read, in seconds since the epoch
_reported: dict[str, float] = {}


def changes(reports: Sequence[Reported], read_age: float | None, now: float) -> list[Change]:
    """What changed lately, as this process, those that report, and the reports themselves tell.

    read_age: seconds since the reports were read; now: seconds since the epoch, by this process's clock.
    """
    old = read_age or 0.0
    found = list(watching.changes())
    for one in reports:
        stored = (heard(each, now - one.age - old) for each in one.observed or () if isinstance(each, Mapping))
        found += [change for change in stored if change is not None]
    # By the database's clock, whose moment `now` was when the reports were read. An old copy says nothing of silence.
    return merged([*found, *of_lives(_lives(reports, now - old), now - old)])


def _lives(reports: Sequence[Reported], read_at: float) -> list[Reporting]:
    """read_at: when they were read, in seconds since the epoch."""
    return [
        Reporting(one.kind, one.host, one.pid, read_at - one.started_at.timestamp(), one.age, one.ended)
        for one in reports
    ]


def likely_causes(
    changed: Callable[[], Sequence[Change]], verdicts: Mapping[str, Verdict], now: float
) -> Sequence[Cause]:
    """The causes of what is not well, the likeliest first. A fault of the ranking costs nobody a page or the health: it
    is logged, and no cause is named.
    """
    try:
        return rank(changed(), verdicts, now)
    except Exception:
        log.exception("causes_not_ranked")
        return ()


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of every component, and what is the cause of what is not well, the likeliest first."""

    components: Mapping[str, Status]
    causes: Sequence[Cause]


class Reports:
    """The last reports and states that could be read, for all callers of this process. One thread reads for all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done: threading.Event | None = None
        self.forget()

    def forget(self) -> None:
        self._reports: Sequence[Reported] = ()
        self._states: Mapping[str, StoredState] = {}
        self._read_at: float | None = None

    def look(self, patience: float) -> tuple[Sequence[Reported], Mapping[str, StoredState], float | None]:
        """Reports, states, and seconds since they were read; waits at most `patience` seconds for newer ones."""
        with self._lock:
            old = self._read_at is None or time.monotonic() - self._read_at > KNOWN_FOR
            if old and self._done is None:
                self._done = threading.Event()
                once("read-reports", self._read)
            done = self._done
        if old and done is not None:
            done.wait(patience)
        read_at = self._read_at
        return self._reports, self._states, None if read_at is None else time.monotonic() - read_at

    def _read(self) -> None:
        try:
            reports, states = store.read_reports_and_states()
            self._reports, self._states, self._read_at = reports, states, time.monotonic()
        except Error:
            # PostgreSQL is away: what was read last grows old, and the probe says why.
            pass
        finally:
            release_connections()
            with self._lock:
                done, self._done = self._done, None
            if done is not None:
                done.set()


_reports = Reports()


def forget() -> None:
    """For tests: know nothing of what was read before."""
    _reported.clear()
    _reports.forget()


def look() -> Health:
    """What is known now. Takes PATIENCE seconds at most."""
    deadline = time.monotonic() + PATIENCE
    watches = watching.ask(PATIENCE)
    reports, states, read_age = _reports.look(max(0.1, deadline - time.monotonic()))
    now = time.time()
    seen = list(watching.observations())
    for report in reports:
        written = now - report.age - (read_age or 0.0)
        seen += [one for stored in report.observed or () if (one := store.observation(stored, written)) is not None]
    found = {}
    said = verdicts(reports, read_age, seen, now)
    for component, verdict in said.items():
        stored = states.get(component)
        watch = watches.get(component)
        since = None
        if stored is not None and stored.state == verdict.state:
            since = stored.since
        elif watch is not None and watch.seen is not None and watch.seen.state is verdict.state:
            since = datetime.fromtimestamp(watch.since, UTC)
        found[component] = Status(verdict, since, stored.changed_at if stored is not None else None)
    return Health(found, likely_causes(lambda: changes(reports, read_age, now), said, now))
