"""Probes for load balancers: /health/live says that the process answers, /health/ready that it can do its
work.
"""

import math
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from erip.celery import app

_KNOWN_FOR = 2.0
_PATIENCE = 1.0


@require_safe
@never_cache
def live(request: HttpRequest) -> JsonResponse:
    """200: the process is alive."""
    return JsonResponse({"status": "live"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """200: runs can be accepted. 503: they cannot, because the database is away.

    A broker that is away is reported as degraded and no more: runs are accepted and carried out without it.
    """
    database = _database_answers()
    broker = broker_probe.answers()
    status = "ready" if broker else "degraded"
    answer = {
        "status": status if database else "unavailable",
        "database": "ok" if database else "unreachable",
        "broker": "ok" if broker else "unreachable",
    }
    return JsonResponse(answer, status=200 if database else 503)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchone() == (1,))
    except DatabaseError:
        return False


class BrokerProbe:
    """Whether the broker answers: asked at most every two seconds, and never waited for longer than one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, "broker-probe")
        self._asking: Future[bool] | None = None
        self._asked_at = -math.inf
        self._answered = False

    def answers(self) -> bool:
        with self._lock:
            if self._asking is None and time.monotonic() - self._asked_at >= _KNOWN_FOR:
                self._asking = self._pool.submit(_ask_broker)
            asking = self._asking
        if asking is None:
            return self._answered
        try:
            answered = asking.result(timeout=_PATIENCE)
        except TimeoutError:
            return False
        with self._lock:
            self._asking, self._asked_at, self._answered = None, time.monotonic(), answered
        return answered


def _ask_broker() -> bool:
    options = settings.ERIP_PUBLISHER_TRANSPORT_OPTIONS
    broker = app.connection_for_write(transport_options=options)
    try:
        broker.connect()  # opens a channel, which sends PING
    except (OSError, *broker.connection_errors, *broker.channel_errors):
        return False
    finally:
        broker.release()
    return True


broker_probe = BrokerProbe()
