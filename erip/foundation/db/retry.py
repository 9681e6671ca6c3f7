"""Runs a transaction again when that can help, so that a failover of the primary is a delay and not an error.

Note [Retry]
What is run again is the whole outermost transaction, by SQLSTATE (Note [By SQLSTATE] in `failures`), with full jitter,
within a budget: the request's if there is one, else ERIP_DB_RETRY_SECONDS. A call inside a transaction is never run
again by itself: the earlier part of that transaction would be missing.

A connection that breaks during COMMIT leaves the outcome unknown, so only work that may happen twice is run again: it
changes nothing the second time, or carries an id of its own by which it is found. `Attempt.unknown` says that an
earlier attempt may have been committed.
"""

import contextlib
import functools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import structlog
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from erip.foundation.db import metrics
from erip.foundation.db.connections import drop_connection
from erip.foundation.db.failures import is_connection_lost, is_transient, must_drop, sqlstate

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: seconds of the pause before the second attempt, doubled for each further one, and the longest pause; jitter shortens
#: them
PAUSE = (0.05, 1.0)

#: on the monotonic clock: until when the current work may be tried again
_until: ContextVar[float | None] = ContextVar("erip_db_retry_until", default=None)
#: set when nobody waits for the current work any more
_left: ContextVar[threading.Event | None] = ContextVar("erip_db_retry_left", default=None)


@dataclass(slots=True)
class Attempt:
    """The current attempt."""

    number: int = 0
    #: an earlier one may have been committed
    unknown: bool = False


@contextlib.contextmanager
def within(seconds: float, left: threading.Event | None = None) -> Iterator[None]:
    """All retries within this block share these seconds.

    left: set when nobody waits for the work any more: it is then not tried again, and does not wait for a database
    """
    token, token_left = _until.set(time.monotonic() + seconds), _left.set(left)
    try:
        yield
    finally:
        _until.reset(token)
        _left.reset(token_left)


def abandoned() -> bool:
    """Whether nobody waits for the current work any more."""
    left = _left.get()
    return left is not None and left.is_set()


def remaining() -> float:
    """Seconds for which the current work may wait for the database."""
    until = _until.get()
    return float(settings.ERIP_DB_REQUEST_SECONDS) if until is None else max(0.0, until - time.monotonic())


def run(call: Callable[[Attempt], T], *, using: str = DEFAULT_DB_ALIAS) -> T:
    """The result of `call`, which is run again while that can help. Raises its last error.

    call: one transaction, or several that may each happen twice. Inside a transaction it is called once.
    """
    attempt = Attempt()
    if connections[using].in_atomic_block:
        return call(attempt)
    until = _until.get()
    own = until if until is not None else time.monotonic() + settings.ERIP_DB_RETRY_SECONDS
    token = _until.set(own)
    try:
        while True:
            try:
                return call(attempt)
            except Exception as error:
                if not is_transient(error):
                    raise
                pause = random.uniform(0, min(PAUSE[1], PAUSE[0] * 2**attempt.number))  # noqa: S311  (no secret)
                if must_drop(error):
                    drop_connection(using)
                if time.monotonic() + pause > own or abandoned():
                    raise
                attempt.unknown |= is_connection_lost(error)
                attempt.number += 1
                _note(error, attempt)
            time.sleep(pause)
    finally:
        _until.reset(token)


def retry_transaction(function: Callable[P, T]) -> Callable[P, T]:
    """For a function that is one transaction (or none) and may happen twice: see Note [Retry]."""

    @functools.wraps(function)
    def tried(*args: P.args, **kwargs: P.kwargs) -> T:
        return run(lambda _: function(*args, **kwargs))

    return tried


def _note(error: Exception, attempt: Attempt) -> None:
    state = sqlstate(error) or "none"
    metrics.RETRIES.labels(state).inc()
    log.info("transaction_run_again", attempt=attempt.number + 1, sqlstate=state, error=error)
