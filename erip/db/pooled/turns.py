"""Who gets the next connection: whoever has waited longest.

Note [In turn]
SQLAlchemy's queue wakes a waiter when a connection comes back, but whoever asks first then takes it, and that is mostly
the thread that has just returned one: it still runs. Of 50 threads on 20 connections some waited for as long as the
others worked. So a connection that comes back while somebody waits is handed over to that one, before anybody else can
ask; the queue behind never has to make anybody wait.
"""

import threading
from collections import deque


class Turns:
    """A number of places, given in the order in which they were asked for."""

    def __init__(self, places: int) -> None:
        self._lock = threading.Lock()
        self._free = places
        self._waiting: deque[threading.Lock] = deque()

    def take(self, timeout: float) -> bool:
        """Whether a place was to be had within `timeout` seconds."""
        with self._lock:
            if self._free and not self._waiting:
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
        """The place is free again."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1

    @property
    def free(self) -> int:
        return self._free
