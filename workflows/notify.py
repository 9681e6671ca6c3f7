"""Waiting for a run's end by notification: one PostgreSQL connection listens for a whole web process."""

import asyncio
import contextlib
import select
import threading
from collections import defaultdict
from collections.abc import Iterator

import psycopg2
import structlog
from asgiref.sync import sync_to_async
from django.db import connection

from workflows.queries import run_finished
from workflows.store import RUN_ENDED_CHANNEL

log = structlog.get_logger(__name__)

#: seconds that the listener listens on when nobody waits any more
LINGER = 5.0


class _Listener:
    """A thread that listens while somebody waits, and a little longer. Wakes the waiters of a run, and all of them when
    it may have missed something: they look for themselves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = defaultdict(set)
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def waiting_for(self, run_id: str) -> Iterator[asyncio.Event]:
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting[run_id].add(waiter)
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="run-end-listener", daemon=True)
                self._thread.start()
        try:
            yield waiter[1]
        finally:
            with self._lock:
                self._waiting[run_id].discard(waiter)
                if not self._waiting[run_id]:
                    del self._waiting[run_id]

    def _listen(self) -> None:
        pause = threading.Event()
        while True:
            try:
                self._listen_while_somebody_waits()
                return
            except psycopg2.Error as error:
                log.warning("listener_lost_its_connection", error=str(error).strip())
                self._wake(None)
                pause.wait(0.2)

    def _listen_while_somebody_waits(self) -> None:
        # A connection of its own, and none of a pool's, to which it would go back listening.
        raw = psycopg2.connect(**connection.get_connection_params())
        try:
            raw.autocommit = True
            with raw.cursor() as cursor:
                cursor.execute(f"LISTEN {RUN_ENDED_CHANNEL}")
            # Whoever began to wait before LISTEN took effect looks again.
            self._wake(None)
            while True:
                if not select.select([raw], [], [], LINGER)[0] and self._nobody_waits():
                    return
                raw.poll()
                while raw.notifies:
                    self._wake(raw.notifies.pop(0).payload)
        finally:
            raw.close()

    def _nobody_waits(self) -> bool:
        """If so, the thread ends; whoever waits next starts another."""
        with self._lock:
            if not self._waiting:
                self._thread = None
            return self._thread is None

    def _wake(self, run_id: str | None) -> None:
        with self._lock:
            sets = self._waiting.values() if run_id is None else [self._waiting.get(run_id, set())]
            for loop, event in [waiter for waiters in sets for waiter in waiters]:
                with contextlib.suppress(RuntimeError):  # that loop has ended meanwhile
                    loop.call_soon_threadsafe(event.set)


_listener = _Listener()


async def wait_for_end(run_id: str, seconds: float) -> bool:
    """Wait until the run has ended, at most `seconds`. Returns whether it has. The run was started with notify=True."""
    finished = sync_to_async(_finished)
    with _listener.waiting_for(run_id) as woken:
        # The run may have ended before we listened.
        if await finished(run_id):
            return True
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await woken.wait()
                    woken.clear()
                    if await finished(run_id):
                        return True
        except TimeoutError:
            return await finished(run_id)


def _finished(run_id: str) -> bool:
    """`run_finished`, without keeping a connection for each caller that waits."""
    try:
        return run_finished(run_id)
    finally:
        if not connection.in_atomic_block:
            connection.close()
