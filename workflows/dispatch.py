"""The one place that publishes to the broker. A message is a hint: if it cannot be sent, the work is found anyway."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from threading import Lock
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu import Connection, pools
from pybreaker import CircuitBreaker, CircuitBreakerError

log = structlog.get_logger(__name__)

#: run ids in one message, at most: enough to share a message's cost, few enough to spread over workers
RUNS_PER_MESSAGE = 20

#: Nobody waits a second for a broker that is known to be away.
_breaker = CircuitBreaker(fail_max=2, reset_timeout=2, name="broker")
_connection: Connection | None = None
_lock = Lock()


def hint_after_commit(hints: Iterable[tuple[str, str]]) -> None:
    """Publish (lane, run id) pairs once the current transaction is committed, or at once outside of one."""
    hints = list(hints)
    if hints:
        transaction.on_commit(lambda: hint(hints), robust=True)


def hint(hints: Iterable[tuple[str, str]]) -> bool:
    """Tell the workers of each lane to look at these runs. Never raises. Returns whether all was sent.

    A run that is named several times has work for as many, and gets a message of its own for each time but the first.
    """
    by_lane: dict[str, Counter[str]] = defaultdict(Counter)
    for lane, run_id in hints:
        by_lane[lane][run_id] += 1
    try:
        for lane, run_ids in by_lane.items():
            ids = list(run_ids)
            for start in range(0, len(ids), RUNS_PER_MESSAGE):
                _breaker.call(_send, lane, ids[start : start + RUNS_PER_MESSAGE])
            for run_id in (run_ids - Counter(ids)).elements():
                _breaker.call(_send, lane, [run_id])
    except CircuitBreakerError:
        return False
    except Exception as error:
        # kombu's OperationalError, redis' errors and, in some releases, raw AttributeErrors: whatever it is, the runs
        # are in PostgreSQL, and the workers and the reconciler find them there.
        log.warning("broker_unreachable", error=str(error), error_type=type(error).__name__)
        return False
    return True


def _send(lane: str, run_ids: list[str]) -> None:
    with pools.producers[_publisher()].acquire(block=True, timeout=1) as producer:
        current_app.send_task(
            "workflows.execute", kwargs={"run_ids": run_ids}, queue=lane, producer=producer, retry=False
        )


def _publisher() -> Connection:
    """A connection of the publishers' own, with deadlines fit for somebody who waits for an answer."""
    global _connection
    with _lock:
        if _connection is None:
            options: dict[str, Any] = settings.ERIP_PUBLISHER_TRANSPORT_OPTIONS
            _connection = current_app.connection_for_write(transport_options=options)
        return _connection
