"""From an accepted run straight to a worker that can take it: both ends.

Note [Hand-over]
A message goes through this process's publisher, the broker, Celery's consumer and a thread of its pool. A run that is
started alone is therefore announced to one worker in the statement that inserts it: PostgreSQL wakes that worker when
the run is committed, with or without a broker. The chosen worker had a heartbeat lately and serves the fewest lanes:
for `critical` it is the reserved one. It claims the run as usual, so an announcement that is lost, repeated or forged
does no harm.

Critical runs are always announced. Other runs are announced only if no equally urgent work waits, which they would
overtake, and only if this process has no other start under way, because NOTIFY makes commits take turns.

No message is sent as well: the same worker would have to take it and find nothing to do. A worker without room
publishes a message when it is handed a run. The process that handed the run over looks once, LOOK_AFTER later, unless
it has heard of the run's end by then, and publishes a run that still waits: the worker may have died a moment before.
If both are gone, the workers and the reconciler find the run, as they find all forgotten work.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence

import structlog
from django.db import transaction

from erip.foundation.process.background import database_service
from erip.foundation.process.listener import listener
from erip.foundation.service import once
from workflows import store
from workflows.starts import dispatch
from workflows.store import WORKER_CHANNEL

log = structlog.get_logger(__name__)

#: seconds after which a run that was handed over should have been taken
LOOK_AFTER = 0.1
#: seconds that the checking thread stays alive when it has nothing to check
LINGER = 2.0
#: seconds that a worker waits for its listener before it begins
LISTENS_WITHIN = 5.0


# --- who hands over ---------------------------------------------------------------------------------------


class _Watch:
    """The runs that this process handed over and has not checked yet."""

    def __init__(self) -> None:
        self._forget_all()
        self._service = database_service(
            "handed-over", self._look, keeps=False, needed=lambda: bool(self._given), lingers=LINGER
        )

    def _forget_all(self) -> None:
        self._changed = threading.Condition()
        #: when to check which run, earliest first
        self._given: dict[str, float] = {}

    def add(self, run_id: str) -> None:
        with self._changed:
            if not self._given:
                self._changed.notify()
            self._given[run_id] = time.monotonic() + LOOK_AFTER
        self._service.start()

    def forget(self, run_id: str) -> None:
        with self._changed:
            self._given.pop(run_id, None)

    def _look(self) -> None:
        run_ids = self._due()
        if not run_ids:
            return
        waiting = store.still_ready(run_ids)
        if waiting:
            log.info("handed_over_in_vain", runs=len(waiting))
            dispatch.hint(waiting)

    def _due(self) -> list[str]:
        """Wait a while for runs to check; returns none if there are none."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._given, LINGER):
                return []
            now = time.monotonic()
            due = [run_id for run_id, moment in self._given.items() if moment <= now]
            if not due:
                self._changed.wait(next(iter(self._given.values())) - now)
            for run_id in due:
                del self._given[run_id]
            return due


_watch = _Watch()
os.register_at_fork(after_in_child=_watch._forget_all)


def handed_over(run_id: str) -> None:
    """Once the current transaction is committed, make sure that the announced run is not left lying."""
    transaction.on_commit(lambda: _watch.add(run_id), robust=True)


def has_ended(run_id: str) -> None:
    """This run need not be checked any more."""
    _watch.forget(run_id)


# --- who takes over ---------------------------------------------------------------------------------------


class Inbox:
    """Listens for what is handed over to a worker, until `stop`."""

    def __init__(self, worker_id: int, take: Callable[[Sequence[str]], bool]) -> None:
        """take: begins to work on these runs in other threads, or returns False if there is no room."""
        self._take = take
        self._ear = listener.listen(f"{WORKER_CHANNEL}{worker_id}", self._received)

    def wait_until_it_listens(self) -> None:
        """Wait a few seconds at most: without the listener, runs still come by message."""
        self._ear.wait_until_it_listens(LISTENS_WITHIN)

    def stop(self) -> None:
        self._ear.close()

    def _received(self, payloads: Sequence[str]) -> None:
        """Each is a lane and a run's id."""
        hints = [(lane, run_id) for lane, _, run_id in (payload.partition(" ") for payload in payloads)]
        if not self._take([run_id for _, run_id in hints]):
            # Not in this thread: while the broker is slow, all other notifications of the process would wait behind it.
            once("hint", lambda: dispatch.hint(hints))
