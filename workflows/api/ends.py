"""Waiting for a run's end by notification, without a thread or a connection for each waiter.

Note [What an announcement is worth]
The transaction that records a run's end announces it, so a waiter who hears of it need not look. And a waiter
who has listened without a gap since before the run was accepted need not look at first, either: the end is announced to
the waiter, or is remembered for waiters who are still to come. Only a gap (the listener has just begun, or
lost its connection) makes the waiters look for themselves.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connection

from erip.foundation.process import draining
from erip.foundation.process.listener import Ear, listener
from workflows.queries import run_finished
from workflows.starts import handover
from workflows.store import RUN_ENDED_CHANNEL

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


class _Ends:
    """Listens while somebody waits, and a little longer. Wakes the waiters of a run when its end is announced, and all
    of them when it may have missed something: they look for themselves."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, set[_Waiter]] = defaultdict(set)
        self._ear: Ear | None = None
        #: on the monotonic clock: since when no announcement was forgotten
        self._since = 0.0
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
        self._listen()
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
            since = self._ear.since if self._ear is not None else None
            return since is not None and max(since, self._since) <= moment

    def _listen(self) -> None:
        """Called after the waiter is registered: the listener closes only when there are no waiters."""
        ear = self._ear
        if ear is None or not ear.is_open:
            self._ear = listener.listen(
                RUN_ENDED_CHANNEL, self._heard, gap=self._look_all, needed=lambda: bool(self._waiting)
            )

    def _look_all(self) -> None:
        """Announcements may have been missed before now: all waiters look for themselves."""
        with self._lock:
            self._ended.clear()
            for waiter in [waiter for waiters in self._waiting.values() for waiter in waiters]:
                waiter.wake(ended=False)

    def _heard(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            self._wake(run_id)

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
                # Some are forgotten: a waiter who comes for one of those has to look.
                self._ended.clear()
                self._since = time.monotonic()
            self._ended.add(run_id)

    def let_go(self) -> None:
        """This process is about to end: all waiters go on."""
        with self._lock:
            for waiter in [waiter for waiters in self._waiting.values() for waiter in waiters]:
                waiter.wake(ended=False)


_ends = _Ends()
draining.when_begun(_ends.let_go)
os.register_at_fork(after_in_child=_ends._forget)


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
    with _ends.waiting_for(run_id) as waiter:
        heard_all = accepted_after is not None and _ends.has_heard_all_since(accepted_after)
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
