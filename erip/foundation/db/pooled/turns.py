"""Who gets the next connection: the thread that has waited longest.

Note [In turn]
SQLAlchemy's queue wakes a waiter when a connection comes back, but the first thread to ask takes it, and that is mostly
the thread that has just returned one, because it is still running. Of 50 threads on 20 connections some waited for as
long as the others worked. So a connection that comes back while a thread waits is handed to that thread before any
other can ask; the queue behind never has to make a thread wait.

Note [Growing]
Opening a connection costs PostgreSQL many times what a short statement does: a process, a login, caches, and the plans
of the statements that are prepared. After a failover all waiting threads come at once, and where each of them opened
a connection of its own, the new primary did nothing else for seconds (measured on 2 cores: back after 3.2 s, requests
of one second and more for another 9 s). So there are only as many places as open connections, plus a few that are being
opened: the other threads wait for a connection that comes back, and get one within milliseconds.
"""

import threading
from collections import deque


class Turns:
    """A number of places, given in the order in which they were asked for."""

    def __init__(self, places: int) -> None:
        """places: how many there are at the most; see `allow`."""
        self._lock = threading.Lock()
        self._places = places
        self._allowed = places
        self._free = places
        self._waiting: deque[threading.Lock] = deque()

    def take(self, timeout: float) -> bool:
        """Take a place; returns whether one was free within `timeout` seconds."""
        with self._lock:
            if self._to_be_had and not self._waiting:
                self._free -= 1
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=timeout):
            return True
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return False
        # It was handed over at the last moment.
        return True

    def give(self) -> None:
        """Give a place back."""
        with self._lock:
            self._free += 1
            self._wake()

    def allow(self, places: int) -> None:
        """Allow no more than this many places from now on: Note [Growing]. Places already taken stay taken."""
        with self._lock:
            self._allowed = max(1, min(places, self._places))
            self._wake()

    def _wake(self) -> None:
        while self._waiting and self._to_be_had:
            self._free -= 1
            self._waiting.popleft().release()

    @property
    def _to_be_had(self) -> bool:
        return self._free > self._places - self._allowed

    @property
    def free(self) -> int:
        """How many could be taken at once."""
        return max(0, self._free - (self._places - self._allowed))
