"""Waiting for a run's end by notification: one PostgreSQL connection listens for a whole web process.

Note [What an announcement is worth]
The end of a run is announced by the transaction that records it, so whoever hears of it need not look. And whoever has
listened without a gap since before the run was accepted need not look at first either: the end is announced to the
waiter, or stands among the announcements that nobody waited for yet. Only a gap (the listener has just begun, or lost
its connection) makes the waiters look for themselves.
"""

import asyncio
import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg2
import structlog
from asgiref.sync import sync_to_async
from django.db import connection

from erip.foundation.db.listening import heard, listening
from erip.foundation.process import draining
from workflows.queries import run_finished
from workflows.starts import handover
from workflows.store import RUN_ENDED_CHANNEL

log = structlog.get_logger(__name__)

#: seconds that the listener listens on when nobody waits any more
LINGER = 5.0
#: ends that are remembered for waiters who are about to come
REMEMBERED = 10_000


@dataclass(eq=False)
class _Waiter:
    loop: asyncio.AbstractEventLoop
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    #: whether the end itself was announced, rather than a gap
    ended: bool = False

    def wake(self, *, ended: bool) -> None:
        self.ended |= ended
        with contextlib.suppress(RuntimeError):  # that loop has ended meanwhile
            self.loop.call_soon_threadsafe(self.woken.set)


class _Listener:
    """A thread that listens while somebody waits, and a little longer. Wakes the waiters of a run, and all of them when
    it may have missed something: they look for themselves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, set[_Waiter]] = defaultdict(set)
        self._thread: threading.Thread | None = None
        #: on the monotonic clock: since when it has heard everything; None while it does not listen
        self._since: float | None = None
        self._ended: set[str] = set()

    @contextlib.contextmanager
    def waiting_for(self, run_id: str) -> Iterator[_Waiter]:
        waiter = _Waiter(asyncio.get_running_loop())
        with self._lock:
            self._waiting[run_id].add(waiter)
            if run_id in self._ended:
                self._ended.remove(run_id)
                waiter.ended = True
                waiter.woken.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="run-end-listener", daemon=True)
                self._thread.start()
        try:
            yield waiter
        finally:
            with self._lock:
                self._waiting[run_id].discard(waiter)
                if not self._waiting[run_id]:
                    del self._waiting[run_id]

    def has_heard_all_since(self, moment: float) -> bool:
        """Whether no announcement can have been missed since then (on the monotonic clock)."""
        with self._lock:
            return self._since is not None and self._since <= moment

    def _listen(self) -> None:
        pause = threading.Event()
        while True:
            try:
                self._listen_while_somebody_waits()
                return
            except psycopg2.Error as error:
                log.warning("listener_lost_its_connection", error=str(error).strip())
                self._begin_anew(None)
                pause.wait(0.2)

    def _listen_while_somebody_waits(self) -> None:
        with listening(RUN_ENDED_CHANNEL) as raw:
            # Whoever began to wait before LISTEN took effect looks again.
            self._begin_anew(time.monotonic())
            while True:
                ended = heard(raw, seconds=LINGER)
                if not ended and self._nobody_waits():
                    return
                for run_id in ended:
                    self._wake(run_id)

    def _nobody_waits(self) -> bool:
        """If so, the thread ends; whoever waits next starts another."""
        with self._lock:
            if not self._waiting:
                self._thread = self._since = None
            return self._thread is None

    def _begin_anew(self, since: float | None) -> None:
        """Something may have been missed before now: all waiters look for themselves."""
        with self._lock:
            self._since = since
            self._ended.clear()
            for waiter in [waiter for waiters in self._waiting.values() for waiter in waiters]:
                waiter.wake(ended=False)

    def _wake(self, run_id: str) -> None:
        """This run's end was announced."""
        handover.has_ended(run_id)
        with self._lock:
            waiters = self._waiting.get(run_id)
            if waiters:
                for waiter in waiters:
                    waiter.wake(ended=True)
                return
            if len(self._ended) == REMEMBERED:
                # Some of them are forgotten: whoever comes for one of those has to look.
                self._ended.clear()
                self._since = time.monotonic()
            self._ended.add(run_id)

    def let_go(self) -> None:
        """This process is about to end: nobody is kept waiting."""
        with self._lock:
            for waiter in [waiter for waiters in self._waiting.values() for waiter in waiters]:
                waiter.wake(ended=False)


_listener = _Listener()
draining.when_begun(_listener.let_go)


async def _in_thread(function: Callable[..., bool], *arguments: Any) -> bool:
    return await sync_to_async(function)(*arguments)


async def wait_for_end(
    run_id: str,
    seconds: float,
    *,
    accepted_after: float | None = None,
    in_thread: Callable[..., Awaitable[bool]] = _in_thread,
) -> bool:
    """Wait until the run has ended, at most `seconds`, and not while this process is draining. Returns whether it has.

    The run was started with notify=True.

    accepted_after: a moment on the monotonic clock before the run was accepted, if it was accepted by this caller.
    in_thread: awaits `function(*arguments)` in a thread that may use the database.
    """
    with _listener.waiting_for(run_id) as waiter:
        heard_all = accepted_after is not None and _listener.has_heard_all_since(accepted_after)
        # Otherwise the run may have ended before we listened.
        if not heard_all and await in_thread(_finished, run_id):
            return True
        try:
            async with asyncio.timeout(seconds):
                while not draining.begun():
                    await waiter.woken.wait()
                    if waiter.ended:
                        return True
                    waiter.woken.clear()
                    if await in_thread(_finished, run_id):
                        return True
        except TimeoutError:
            pass
        return await in_thread(_finished, run_id)


def _finished(run_id: str) -> bool:
    """`run_finished`, without keeping a connection for each caller that waits."""
    try:
        return run_finished(run_id)
    finally:
        if not connection.in_atomic_block:
            connection.close()
