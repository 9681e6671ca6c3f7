"""A circuit breaker for connecting: while the database is away, requests fail at once instead of piling up.

Note [Breaker and failover]
Three failures to connect within 10 s open the breaker, and a failover of the primary, which takes 0.5 to 3.5 s, brings
them about in a moment. A breaker that then stayed open for its 5 s would turn a failover of one second into an outage
of five. Therefore:

- While it is open, one thread tries to connect, ten times a second at first and once a second later (the half-open
  trial: one at a time, whatever the load). Its success closes the breaker at once, and wakes all callers that wait.
- In the first period (5 s) this may be a failover: callers wait for the trial, as long as their own patience lasts, and
  go on the moment it succeeds. They hold no connection and no place in the pool meanwhile.
- If a connect fails that began before another one succeeded, the failure does not count: it belongs to an outage that
  is over.
- After the first period this is an outage: callers fail at once with CircuitOpen, which the API answers with 503 and
  Retry-After. The period doubles up to 60 s; it only bounds what Retry-After says, as the trials go on.
"""

import threading
import time
from collections.abc import Callable

import structlog

from erip.foundation.circuit import Circuit
from erip.foundation.db import metrics
from erip.foundation.db.errors import CircuitOpen
from erip.foundation.service import once

log = structlog.get_logger(__name__)

#: the number of failures that opens it, and the seconds within which they must fall
FAILURES, WITHIN = 3, 10.0
#: seconds between two trials: in the first period, and later
TRY_EVERY = (0.1, 1.0)


class Breaker:
    """One for each database and process. Any thread may call it."""

    def __init__(self, name: str, trial: Callable[[], None], *, period: float, longest: float) -> None:
        """trial: connects and closes; raises if that fails. period: seconds, doubled up to `longest`."""
        self._name = name
        self._trial = trial
        self._first = period
        self._longest = longest
        self._changed = threading.Condition()
        self._circuit = Circuit(FAILURES, 0.0, within=WITHIN)
        self._succeeded_at = -WITHIN
        self._opened_at: float | None = None
        self._period = period
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        return self._opened_at is not None

    def admit(self, patience: float) -> None:
        """Return once the database may be tried; wait for that if it helps. Raises CircuitOpen.

        patience: seconds that the caller can wait.
        """
        if self._opened_at is None:
            return
        with self._changed:
            if self._opened_at is None:
                return
            hope = self._opened_at + self._first - time.monotonic()
            if hope > 0 and self._changed.wait_for(lambda: self._opened_at is None, min(hope, max(0.0, patience))):
                return
            rest = max(1.0, self._until - time.monotonic())
        raise CircuitOpen(f'the database "{self._name}" cannot be reached; it is tried again', rest)

    def failed(self, error: BaseException, began: float) -> None:
        """Connecting has failed. began: when it was tried (monotonic)."""
        now = time.monotonic()
        with self._changed:
            if self._opened_at is not None or began < self._succeeded_at:
                return
            if not self._circuit.failed():
                return
            self._opened_at, self._period = now, self._first
            self._until = now + self._period
            metrics.BREAKER.labels(self._name).set(1)
            once(f"breaker-{self._name}", self._try)
        log.warning("database_away", database=self._name, error=error)

    def succeeded(self) -> None:
        """A connect has succeeded."""
        self._succeeded_at = time.monotonic()
        if self._circuit.is_untroubled and self._opened_at is None:
            return
        with self._changed:
            self._circuit.succeeded()
            opened, self._opened_at = self._opened_at, None
            self._changed.notify_all()
        if opened is not None:
            metrics.BREAKER.labels(self._name).set(0)
            log.warning("database_back", database=self._name, after_seconds=round(time.monotonic() - opened, 2))

    def _try(self) -> None:
        pause = threading.Event()
        while (opened := self._opened_at) is not None:
            pause.wait(TRY_EVERY[time.monotonic() - opened > self._first])
            try:
                self._trial()
            except Exception:
                with self._changed:
                    if time.monotonic() >= self._until:
                        self._period = min(2 * self._period, self._longest)
                        self._until = time.monotonic() + self._period
            else:
                self.succeeded()
