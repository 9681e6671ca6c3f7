"""From an accepted run straight to a worker that can take it: both ends.

Note [Hand-over]
A message takes its way through this process's publisher, the broker, Celery's consumer and a thread of its pool. A run
that is started alone is therefore announced to one worker in the statement that inserts it: PostgreSQL wakes that
worker when the run is committed, with or without a broker. The worker is one that has beaten lately and serves the
fewest lanes: for `critical` the reserved one. It claims the run as ever, so an announcement that is lost, repeated or
forged does no harm.

Announced are critical runs; others only where no work as urgent as theirs waits, or they would overtake it, and only
while this process has no other start under way: NOTIFY makes commits take turns.

No message is sent beside it, which the same worker would have to take and find empty. A worker without room publishes
one when it is handed a run. Who handed over looks once, LOOK_AFTER later, unless it has heard of the run's end by then,
and publishes what still waits: the worker may have died a moment before. If both are gone, workers and reconciler find
the run, as they find all forgotten work.
"""

import threading
import time
from collections.abc import Callable, Sequence

import psycopg2
import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction

from erip.foundation.db.listening import heard, listening
from workflows import store
from workflows.starts import dispatch
from workflows.store import WORKER_CHANNEL

log = structlog.get_logger(__name__)

#: seconds after which a run that was handed over should have been taken
LOOK_AFTER = 0.1
#: seconds that the looking thread stays when there is nothing to look at
LINGER = 2.0
#: seconds in which a listener that is told to stop does
STOPS_WITHIN = 1.0
#: seconds that a worker waits for its listener before it begins
LISTENS_WITHIN = 5.0
#: seconds before a listener that lost its connection tries again
RETRY_AFTER = 0.2


# --- who hands over ---------------------------------------------------------------------------------------


class _Watch:
    """The runs that this process handed over and has not looked after yet."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        #: when to look at which, the first first
        self._given: dict[str, float] = {}
        self._thread: threading.Thread | None = None

    def add(self, run_id: str) -> None:
        with self._changed:
            if not self._given:
                self._changed.notify()
            self._given[run_id] = time.monotonic() + LOOK_AFTER
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="handed-over", daemon=True)
                self._thread.start()

    def forget(self, run_id: str) -> None:
        with self._changed:
            self._given.pop(run_id, None)

    def _look(self) -> None:
        while run_ids := self._due():
            try:
                waiting = store.still_ready(run_ids)
                if waiting:
                    log.info("handed_over_in_vain", runs=len(waiting))
                    dispatch.hint(waiting)
            except (DatabaseError, InterfaceError) as error:
                log.warning("handed_over_unseen", error=str(error).strip(), runs=len(run_ids))
            finally:
                connection.close()

    def _due(self) -> list[str]:
        """Wait for runs to look at; none if there were none for a while, and then the thread has to end."""
        with self._changed:
            while self._changed.wait_for(lambda: self._given, LINGER):
                now = time.monotonic()
                due = [run_id for run_id, moment in self._given.items() if moment <= now]
                if due:
                    for run_id in due:
                        del self._given[run_id]
                    return due
                self._changed.wait(next(iter(self._given.values())) - now)
            self._thread = None
            return []


_watch = _Watch()


def handed_over(run_id: str) -> None:
    """Once the current transaction is committed, see to it that the run which was announced does not lie about."""
    transaction.on_commit(lambda: _watch.add(run_id), robust=True)


def has_ended(run_id: str) -> None:
    """Nobody need look after this run any more."""
    _watch.forget(run_id)


# --- who takes over ---------------------------------------------------------------------------------------


class Inbox:
    """Listens for what is handed over to a worker, until `stop`."""

    def __init__(self, worker_id: int, take: Callable[[Sequence[str]], bool]) -> None:
        """take: begins to work on these runs in other threads, or returns False for want of room."""
        self._channel = f"{WORKER_CHANNEL}{worker_id}"
        self._take = take
        self._stop = threading.Event()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="inbox", daemon=True)
        self._thread.start()

    def wait_until_it_listens(self) -> None:
        """For a few seconds at most: without it, runs come by message."""
        self._listens.wait(LISTENS_WITHIN)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=2 * STOPS_WITHIN)

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with listening(self._channel) as raw:
                    self._listens.set()
                    while not self._stop.is_set():
                        self._received(heard(raw, seconds=STOPS_WITHIN))
            except psycopg2.Error as error:
                log.warning("inbox_lost_its_connection", error=str(error).strip())
                self._stop.wait(RETRY_AFTER)

    def _received(self, payloads: Sequence[str]) -> None:
        """Each is a lane and a run's id."""
        if not payloads:
            return
        hints = [(lane, run_id) for lane, _, run_id in (payload.partition(" ") for payload in payloads)]
        try:
            if not self._take([run_id for _, run_id in hints]):
                dispatch.hint(hints)
        except Exception:
            log.exception("hand_over_refused")
