"""The consumer of a general worker: loops that take the events in its partitions, a heartbeat, and a listener.

The loops own partitions and transactions (Note [Loops] in `loop`); the heartbeat says that they all go on, and works
out who should own what; the listener wakes them when something comes in. See Note [Owners] in `store/owners`.
"""

import threading
import time
from collections.abc import Sequence
from typing import Final

import structlog

from erip.foundation.db.connections import drop_connection
from erip.foundation.db.failures import ERRORS
from erip.foundation.process.background import database_service
from erip.foundation.process.listener import Ear, listener
from workflows.events.apart import Apart
from workflows.events.conf import conf
from workflows.events.effects import Effect
from workflows.events.loop import AWAY, Loop
from workflows.events.pipeline import effects as all_effects
from workflows.events.store import owners
from workflows.journal.store import CHANNEL

log = structlog.get_logger(__name__)

#: seconds between two heartbeats
BEAT_EVERY: Final = 0.5
#: seconds without a turn of a loop after which the heart stops beating
STUCK_AFTER: Final = 30.0
#: seconds within which the threads stop when asked to
STOPS_WITHIN: Final = 10.0


class Consumer:
    """One per worker process; it consumes from `start` to `stop`."""

    def __init__(self, worker_id: int, effects: Sequence[Effect] | None = None) -> None:
        settings = conf()
        effects = all_effects() if effects is None else effects
        self._worker_id = worker_id
        self._lease = settings.lease
        apart, count = Apart(), settings.loops
        self._loops = [Loop(worker_id, effects, apart, index=index, count=count) for index in range(count)]
        self._stop = threading.Event()
        #: held during a heartbeat: a consumer that has left must not come back through a last beat
        self._beating = threading.Lock()
        self._heart = database_service("events-heartbeat", self._beat, every=BEAT_EVERY, back_off=(AWAY, BEAT_EVERY))
        self._ear: Ear | None = None

    def start(self) -> "Consumer":
        for loop in self._loops:
            loop.start()
        self._ear = listener.listen(CHANNEL, self._heard, gap=self._wake)
        self._heart.start()
        log.info("consumer_started", worker_id=self._worker_id, loops=len(self._loops))
        return self

    @property
    def thread_ids(self) -> list[int]:
        """The native ids of the threads that consume."""
        ids = [*(loop.thread_id for loop in self._loops), listener.thread_id]
        return [native for native in ids if native is not None]

    def stop(self) -> None:
        """Finish the rounds and give the partitions up."""
        self._stop.set()
        for loop in self._loops:
            loop.stop()
        until = time.monotonic() + STOPS_WITHIN
        for loop in self._loops:
            loop.join(max(0.0, until - time.monotonic()))
        self._heart.stop()
        try:
            with self._beating:
                owners.leave(self._worker_id)
        except ERRORS as error:
            log.warning("consumer_left_without_a_word", error=error)
            drop_connection()
        if self._ear is not None:
            self._ear.close()
        log.info("consumer_stopped", worker_id=self._worker_id)

    def _beat(self) -> None:
        if (idle := max(loop.idle_for() for loop in self._loops)) > STUCK_AFTER:
            log.error("consumer_stuck", seconds=round(idle))
            return
        changes = [loop.changes for loop in self._loops]
        with self._beating:
            if self._stop.is_set():
                return
            found = owners.beat(self._worker_id, rate=self._capacity(), lease=self._lease)
        for loop, before in zip(self._loops, changes, strict=True):
            loop.learn(found, before)

    def _capacity(self) -> float | None:
        """Events a second that the loops can serve together; those that have not measured it yet are left out."""
        measured = [loop.capacity for loop in self._loops if loop.capacity is not None]
        return sum(measured) if measured else None

    def _heard(self, payloads: Sequence[str]) -> None:
        if any(payloads):
            # A consumer came or left: work out again who owns what.
            self._heart.wake()
        self._wake()

    def _wake(self) -> None:
        for loop in self._loops:
            loop.wake()
