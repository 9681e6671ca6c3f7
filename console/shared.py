"""What is read once for all viewers.

Note [One look for all]
A page never reads for one viewer what another one is shown too. Each thing that pages show is a `Shared`: one thread
of the process reads it, at most once in its interval, and all others take what is there. So a thousand open pages cost
the database what one costs. While it cannot be read, what was read last is shown with its age; what was never read is
unknown, and the page says so.
"""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from cachetools import TTLCache
from django.db import Error

from erip.foundation.db.failures import is_passing
from erip.foundation.db.retry import within

log = structlog.get_logger(__name__)

Value = TypeVar("Value")

#: seconds that a page waits for a newer value
PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Look(Generic[Value]):
    """value: None if it was never read. at: when it was read, in seconds since the epoch. fresh: whether the last
    attempt to read it succeeded."""

    value: Value | None
    at: float | None
    fresh: bool


class Shared(Generic[Value]):
    """One thing that is read, at most once every `every` seconds in this process."""

    def __init__(self, read: Callable[[], Value], *, every: float) -> None:
        self._read = read
        self._every = every
        self._lock = threading.Lock()
        self._look: Look[Value] = Look(None, None, False)
        self._next = 0.0

    def look(self, read: Callable[[], Value] | None = None) -> Look[Value]:
        """What is known. Never raises a database error that passes. read: how it is read from now on."""
        if read is not None:
            self._read = read
        if time.monotonic() < self._next:
            return self._look
        # Who does not get the lock in time shows what there is: the thread that reads is held up.
        if self._lock.acquire(timeout=PATIENCE if self._look.value is None else 0.05):
            try:
                if time.monotonic() >= self._next:
                    self._look = self._looked()
                    self._next = time.monotonic() + self._every
            finally:
                self._lock.release()
        return self._look

    def forget(self) -> None:
        """The next look reads: something was changed here."""
        self._next = 0.0

    def clear(self) -> None:
        """For tests: know nothing of what was read before."""
        self._look, self._next = Look(None, None, False), 0.0

    def _looked(self) -> Look[Value]:
        try:
            with within(PATIENCE):
                return Look(self._read(), time.time(), True)
        except Error as error:
            if not is_passing(error):
                raise
            log.warning("console_look_failed", error=error)
            return Look(self._look.value, self._look.at, False)


class SharedBy(Generic[Value]):
    """The same for what depends on a question, as a range of time. The questions that are remembered are bounded."""

    def __init__(self, *, every: float, most: int = 64) -> None:
        self._every = every
        self._lock = threading.Lock()
        self._known: TTLCache[Hashable, Shared[Value]] = TTLCache(most, 300.0)

    def look(self, question: Hashable, read: Callable[[], Value]) -> Look[Value]:
        with self._lock:
            shared = self._known.get(question)
            if shared is None:
                shared = self._known[question] = Shared(read, every=self._every)
        # With this caller's way to read: the first one's may hold what was known then.
        return shared.look(read)

    def forget(self) -> None:
        with self._lock:
            self._known.clear()
