"""A circuit breaker's memory: whether something that failed lately may be tried now.

It counts and remembers; it calls nothing and holds no lock while its owner calls. (pybreaker holds its lock during the
call: connections would be opened one by one, and one that hangs would hang all.)

    closed ── `failures` in a row (within `within` seconds, if given) ──> open
    open ── after `rest` seconds, one trial ──> closed again, or open for another `rest`
"""

import threading
import time
from collections import deque


class Circuit:
    """Any thread. Times are in seconds, on the monotonic clock."""

    def __init__(self, failures: int, rest: float, *, within: float | None = None) -> None:
        self._rest = rest
        self._within = within
        self._lock = threading.Lock()
        self._failed_at: deque[float] = deque(maxlen=failures)
        self._opened_at: float | None = None
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether it opened and nothing has succeeded since: also while it may be tried again."""
        return self._opened_at is not None

    @property
    def is_untroubled(self) -> bool:
        """Whether nothing failed since the last success."""
        return not self._failed_at and self._opened_at is None

    def may_try(self) -> bool:
        """Whether it is worth a look: closed, or the rest is over. This is only a hint; `allows` decides."""
        opened = self._opened_at
        return opened is None or (not self._trying and time.monotonic() - opened >= self._rest)

    def allows(self) -> bool:
        """Whether the caller may try now. While it is open, one caller may, once in `rest` seconds; that caller reports
        `succeeded` or `failed`, or gives the trial back with `not_tried`.
        """
        if self._opened_at is None:
            return True
        with self._lock:
            if self._opened_at is None:
                return True
            if self._trying or time.monotonic() - self._opened_at < self._rest:
                return False
            self._trying = True
            return True

    def not_tried(self) -> None:
        """The trial was not made, so it says nothing about whether the failure is over."""
        with self._lock:
            self._trying = False

    def succeeded(self) -> None:
        """It works: whatever failed before is forgotten."""
        if self.is_untroubled:
            return
        with self._lock:
            self._failed_at.clear()
            self._opened_at, self._trying = None, False

    def failed(self) -> bool:
        """It failed. Returns whether that opened the circuit."""
        now = time.monotonic()
        with self._lock:
            if self._opened_at is not None:
                self._opened_at, self._trying = now, False
                return False
            self._failed_at.append(now)
            if len(self._failed_at) < (self._failed_at.maxlen or 1):
                return False
            if self._within is not None and now - self._failed_at[0] > self._within:
                return False
            self._opened_at = now
            return True
