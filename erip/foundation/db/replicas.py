"""The replicas, and which of them are in rotation: one thread per replica checks it once a second.

Note [In rotation]
A replica is in rotation while it answers, streams from a primary and is no more than ERIP_REPLICA_MAX_LAG seconds
behind. `now() - pg_last_xact_replay_timestamp()` alone would count every replica of an idle primary as lagging, so a
replica that has replayed all that it received does not lag. That rule alone would count a replica that has lost its
primary as up to date, so it must also be `streaming`. An ordinary role sees that only with pg_monitor (or
pg_read_all_stats). A replica that was promoted, or an address that leads to the primary when no replica is left, is in
rotation too.
"""

import os
import threading
from dataclasses import dataclass
from typing import Any

import psycopg2
import structlog
from django.conf import settings
from django.db import connections

from erip.foundation.db import metrics
from erip.foundation.db.deadlines import watched_clock
from erip.foundation.service import Service

log = structlog.get_logger(__name__)

#: seconds between two checks
EVERY = 1.0
#: seconds a replica has to answer
WITHIN = 1.5

_LOOK = """
SELECT pg_is_in_recovery(),
       (SELECT coalesce(status, 'hidden') FROM pg_stat_wal_receiver),
       CASE WHEN pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_last_wal_replay_lsn() THEN 0
            ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END
"""


@dataclass(frozen=True, slots=True)
class State:
    """The result of the last check."""

    reachable: bool = False
    in_rotation: bool = False
    #: seconds
    lag: float = 0.0
    why: str = "not looked at yet"


class Replica:
    """One alias of DATABASES that is read from."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.state = State()
        self._raw: Any = None
        self._looked = threading.Event()
        self._service = Service(f"look-at-{alias}", self._turn, clean=self._close)
        # Only now: its first turn uses it.
        self._service.start()

    def known(self) -> State:
        """The last result; waits for the first check, at most as long as that check may take."""
        if not self._looked.is_set():
            self._looked.wait(WITHIN)
        return self.state

    def failed(self, error: BaseException) -> None:
        """A read has failed there: out of rotation until the next check finds it healthy."""
        self._found(State(why=_first_line(error)))
        self._service.wake()

    def stop(self) -> None:
        self._service.stop(0)

    def _turn(self) -> None:
        try:
            found = self._look()
        except psycopg2.Error as error:
            self._close()
            found = State(why=_first_line(error))
        except Exception as error:
            log.exception("replica_look_failed", database=self.alias)
            self._close()
            found = State(why=_first_line(error))
        self._found(found)
        self._looked.set()
        if self._service.rest(EVERY):
            self._service.pause(EVERY / 4)

    def _look(self) -> State:
        if self._raw is None:
            self._raw = psycopg2.connect(**connections[self.alias].get_connection_params())
            self._raw.autocommit = True
            self._clock = watched_clock(self._raw)
        with self._clock.running(WITHIN), self._raw.cursor() as cursor:
            cursor.execute(_LOOK)
            recovering, receiver, lag = cursor.fetchone()
        if not recovering:
            return State(True, True)
        lag = float(lag or 0.0)
        if receiver == "hidden":
            return State(True, False, lag, "its role may not see whether it streams: GRANT pg_monitor")
        if receiver != "streaming":
            return State(True, False, lag, "it does not stream from a primary")
        if lag > settings.ERIP_REPLICA_MAX_LAG:
            return State(True, False, lag, f"it is {lag:.0f} s behind")
        return State(True, True, lag, "")

    def _found(self, found: State) -> None:
        before, self.state = self.state, found
        metrics.REPLICA_IN_ROTATION.labels(self.alias).set(found.in_rotation)
        metrics.REPLICA_LAG.labels(self.alias).set(found.lag)
        if found.in_rotation and not before.in_rotation:
            log.info("replica_in_rotation", database=self.alias)
        elif not found.in_rotation and (before.in_rotation or before.why != found.why):
            log.warning("replica_out_of_rotation", database=self.alias, why=found.why)

    def _close(self) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.close()


class Fleet:
    """All replicas of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._replicas: dict[str, Replica] = {}
        self._turn = 0

    def in_rotation(self) -> list[str]:
        """Aliases to read from, the one to try first in front."""
        known = [(replica.alias, replica.known()) for replica in self._all()]
        found = [(alias, state) for alias, state in known if state.in_rotation]
        if settings.ERIP_REPLICA_POLICY == "least-lag":
            return [alias for alias, state in sorted(found, key=lambda each: each[1].lag)]
        self._turn += 1
        turn = self._turn % len(found) if found else 0
        return [alias for alias, _ in found[turn:] + found[:turn]]

    def reachable(self) -> list[str]:
        """Aliases that answer, whether in rotation or not, least behind first."""
        known = [(replica.known(), replica.alias) for replica in self._all()]
        return [alias for state, alias in sorted(known, key=lambda each: each[0].lag) if state.reachable]

    def failed(self, alias: str, error: BaseException) -> None:
        self._replicas[alias].failed(error)

    def forget(self) -> None:
        """Start again at the next use."""
        with self._lock:
            replicas, self._replicas = self._replicas, {}
        for replica in replicas.values():
            replica.stop()

    def _all(self) -> list[Replica]:
        if len(self._replicas) != len(settings.ERIP_REPLICAS):
            with self._lock:
                for alias in settings.ERIP_REPLICAS:
                    if alias not in self._replicas:
                        self._replicas[alias] = Replica(alias)
        return list(self._replicas.values())


fleet = Fleet()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _after_fork() -> None:
    """The threads and their connections belong to the parent, so the connections are not closed."""
    global _inherited
    _inherited = (*_inherited, fleet._replicas)
    fleet.__init__()  # type: ignore[misc]  # imported by name elsewhere


_inherited: tuple[Any, ...] = ()
os.register_at_fork(after_in_child=_after_fork)
