"""Cuts statements that get no answer: a clock for each connection, and one thread that checks the clocks.

Note [Cut by shutdown]
A server that is stopped (SIGSTOP), or a path that swallows packets, is invisible to libpq: the kernel at the other end
goes on acknowledging, so neither keepalive nor tcp_user_timeout notices, and statement_timeout is the frozen server's
own. psycopg2 offers a wait callback for this, at the price of a Python loop for each statement and of COPY, which it
forbids. So a separate thread checks the clocks and shuts the socket of an overdue statement: the thread that waits in
libpq gets a lost connection at once. Only a statement in flight is cut, under a lock that its end takes too, so a
socket that was closed and reused meanwhile is never touched.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakSet

import structlog

from erip.foundation.service import Service

log = structlog.get_logger(__name__)

#: seconds between two checks
EVERY = 0.25


class Clock:
    """Records when the current statement of a connection began. One thread works on the connection, another checks the
    clock."""

    __slots__ = ("__weakref__", "_lock", "_real", "ended", "limit", "since")

    def __init__(self, real: Any) -> None:
        self._real = real
        self._lock = threading.Lock()
        #: on the monotonic clock; None while no statement is under way
        self.since: float | None = None
        #: when the last one ended
        self.ended = time.monotonic()
        #: seconds after which it is cut, whatever else is known; None: never
        self.limit: float | None = None

    def begin(self, limit: float | None) -> None:
        self.limit = limit
        self.since = time.monotonic()

    def end(self) -> float:
        """Returns how long the statement took."""
        with self._lock:
            since, self.since = self.since, None
        self.ended = now = time.monotonic()
        return now - since if since is not None else 0.0

    @contextlib.contextmanager
    def running(self, limit: float | None) -> Iterator[None]:
        self.begin(limit)
        try:
            yield
        finally:
            self.end()

    def cut(self, since: float) -> bool:
        """Shut the connection if the statement that began at `since` is still running. Returns whether it was."""
        with self._lock:
            if self.since != since:
                return False
            with contextlib.suppress(OSError, ValueError):
                descriptor = os.dup(self._real.fileno())
                with socket.socket(fileno=descriptor) as link:
                    link.shutdown(socket.SHUT_RDWR)
                return True
        return False


class Watcher:
    """Calls the added functions again and again, in a daemon thread that the first of them starts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looks: list[Callable[[float], None]] = []
        self._service = Service("database-watcher", self._watch, every=EVERY, delay=True)

    def add(self, look: Callable[[float], None]) -> None:
        """look: gets the monotonic time."""
        with self._lock:
            self._looks.append(look)
        self._service.start()

    def remove(self, look: Callable[[float], None]) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._looks.remove(look)

    def _watch(self) -> None:
        for look in list(self._looks):
            try:
                look(time.monotonic())
            except Exception:
                log.exception("database_watcher_failed")


watcher = Watcher()

#: clocks of connections outside any pool
_alone: "WeakSet[Clock]" = WeakSet()
_alone_lock = threading.Lock()


def watched_clock(real: Any) -> Clock:
    """A clock for a connection outside any pool: its statements are cut at their limits."""
    clock = Clock(real)
    with _alone_lock:
        if not _alone:
            watcher.remove(_look_at_those_alone)
            watcher.add(_look_at_those_alone)
        _alone.add(clock)
    return clock


def _look_at_those_alone(now: float) -> None:
    with _alone_lock:
        clocks = list(_alone)
    for clock in clocks:
        since, limit = clock.since, clock.limit
        if since is not None and limit is not None and now - since > limit and clock.cut(since):
            log.warning("statement_cut", why="no answer within its limit", seconds=round(now - since, 1))


def _forget() -> None:
    """In a child process, where only the forking thread goes on."""
    global watcher, _alone_lock
    watcher.__init__()  # type: ignore[misc]  # imported by name elsewhere
    _alone_lock = threading.Lock()
    _alone.clear()


os.register_at_fork(after_in_child=_forget)
