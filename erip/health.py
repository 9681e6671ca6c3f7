"""Probes for load balancers: /health/live says that the process answers, /health/ready that it can do its
work.
"""

import threading
import time

from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu import Connection

from erip.broker import publisher_options
from erip.celery import app

_BROKER_KNOWN_FOR = 2.0

_lock = threading.Lock()
_broker_known = (-_BROKER_KNOWN_FOR, False)


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
    broker = _broker_answers()
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


def _broker_answers() -> bool:
    """Asked at most once in a while, so that probes cost the broker nothing and wait for it once."""
    global _broker_known
    with _lock:
        at, answers = _broker_known
        if time.monotonic() - at >= _BROKER_KNOWN_FOR:
            answers = _ask_broker()
            _broker_known = (time.monotonic(), answers)
        return answers


def _ask_broker() -> bool:
    url = app.conf.broker_url
    try:
        with Connection(url, transport_options=publisher_options(url)) as broker:
            broker.connect()  # opens a channel, which sends PING
    # any: transports raise errors of their own, and whichever it is, the broker is not usable
    except Exception:
        return False
    return True
