"""Delivering events to webhooks: threads of a general worker claim what is due, post it, and record the result.

Note [At least once]
A delivery that succeeded but could not be recorded is made again, with the same webhook-id, by which receivers
recognise it. The order of deliveries is best effort: a failed one is tried again later, and several are on their way at
once.
"""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

import structlog
from cachetools import LRUCache
from django.conf import settings
from django.db import connection

from erip.access.flags import asking as flags
from erip.foundation.circuit import Circuit
from erip.foundation.db.connections import drop_connection, release_connections
from erip.foundation.db.failures import ERRORS
from erip.foundation.outbound.addresses import Refused, Unresolved
from erip.foundation.outbound.webhook import DeliveryFailed, post
from erip.foundation.process.background import database_service
from workflows.events.conf import conf
from workflows.events.secrets import signing_secrets
from workflows.events.store.deliveries import Claimed, Outcome, claim_deliveries, record_outcome

log = structlog.get_logger(__name__)

#: seconds between an attempt and the next: what Standard Webhooks advises, three days in all
SCHEDULE: Final = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
#: the fraction by which a pause may be longer, so that deliveries that failed together do not come back together
JITTER: Final = 0.2
#: seconds of failures without a success after which a subscription is disabled
DISABLE_AFTER: Final = 5 * 86_400.0
#: seconds between two looks for what is due
EVERY: Final = 0.5
#: the lease of a claim is this many seconds longer than a request may take
MARGIN: Final = 5.0
#: failures in a row that open an endpoint's circuit in this process, and seconds until it is tried again
TRIPS_AFTER: Final = 5
REST: Final = 30.0

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"


def message_id(delivery_id: int) -> str:
    """`webhook-id`: the same at every attempt."""
    return f"dlv_{delivery_id}"


def pause_after(tries: int, retry_after: float | None, *, draw: float) -> float | None:
    """Seconds until the next attempt, after `tries` attempts; None if there is none. draw: in [0, 1)."""
    if tries > len(SCHEDULE):
        return None
    pause = SCHEDULE[tries - 1] * (1 + JITTER * draw)
    return max(pause, retry_after or 0.0)


def attempt(claimed: Claimed, now: datetime) -> Outcome:
    """Post it."""
    if claimed.body is None:
        return Outcome(False, 0, error="the log does not have this event any more")
    began = time.monotonic()
    status: int | None = None
    retry_after: float | None = None
    gone = ""
    try:
        answer = post(
            claimed.url,
            claimed.body,
            message_id=message_id(claimed.id),
            secret=signing_secrets(claimed.subscription_id, claimed.secret_version, claimed.rotated_at, now),
            now=now,
            allow_private=settings.ERIP_WEBHOOK_ALLOW_PRIVATE,
            content_type=CONTENT_TYPE,
            timeout=conf().webhook_timeout,
        )
        return Outcome(True, _milliseconds(began), int(answer.split()[0]))
    except DeliveryFailed as failure:
        error, status, retry_after = str(failure), failure.status, failure.retry_after
        if status == 410:
            gone = "the receiver answered 410 Gone"
    except (Refused, Unresolved) as failure:
        error = str(failure)
    pause = None if gone else pause_after(claimed.tries, retry_after, draw=random.random())  # noqa: S311
    return Outcome(False, _milliseconds(began), status, error, pause, gone)


def _milliseconds(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


class Breakers:
    """One circuit breaker for each endpoint, in this process: while it is open nothing is claimed for the endpoint, so
    that its deliveries neither wait in vain for its timeout nor use up their attempts."""

    def __init__(self, *, trips_after: int = TRIPS_AFTER, rest: float = REST) -> None:
        self._trips_after = trips_after
        self._rest = rest
        self._lock = threading.Lock()
        self._circuits: LRUCache[str, Circuit] = LRUCache(maxsize=10_000)

    def limits(self) -> dict[str, int]:
        """How many deliveries may be sent now to each endpoint that failed lately: none, or one as a trial."""
        with self._lock:
            return {
                subscription: int(circuit.may_try())
                for subscription, circuit in self._circuits.items()
                if circuit.is_open
            }

    def record(self, subscription: str, delivered: bool) -> None:
        with self._lock:
            circuit = self._circuits.get(subscription)
            if circuit is None:
                if delivered:
                    return
                circuit = self._circuits[subscription] = Circuit(self._trips_after, self._rest)
        if delivered:
            circuit.succeeded()
        else:
            circuit.failed()


class Deliverer:
    """Delivers in this process until `stop`."""

    def __init__(self, *, threads: int | None = None, breakers: Breakers | None = None) -> None:
        self._threads = threads or conf().webhook_threads
        self._breakers = breakers or Breakers()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="webhook")
        self._room = threading.Semaphore(self._threads)
        self._service = database_service("deliverer", self._deliver, keeps=False, back_off=(EVERY, EVERY))
        # Started only now, because its first turn uses it.
        self._service.start()

    def wake(self) -> None:
        """Something is due now."""
        self._service.wake()

    def stop(self) -> None:
        """Claim nothing more, and record the deliveries that are on their way."""
        self._service.stop()
        self._pool.shutdown(wait=True)

    def _deliver(self) -> None:
        self._service.forget_wakes()
        if not self.take():
            release_connections()
            self._service.rest(EVERY)

    def take(self) -> bool:
        """Claim as many deliveries as there is room for, and send them. Returns whether there were any."""
        if not flags.is_on("webhook-deliveries"):
            return False
        room = 0
        while room < self._threads and self._room.acquire(blocking=False):
            room += 1
        claims: list[Claimed] = []
        try:
            if room:
                claims = claim_deliveries(
                    limit=room,
                    in_flight=conf().webhook_in_flight,
                    lease=conf().webhook_timeout + MARGIN,
                    limits=self._breakers.limits(),
                )
        finally:
            for _ in range(room - len(claims)):
                self._room.release()
        for claimed in claims:
            self._pool.submit(self._send, claimed)
        return bool(claims)

    def _send(self, claimed: Claimed) -> None:
        try:
            outcome = attempt(claimed, datetime.now(UTC))
            self._breakers.record(claimed.subscription_id, outcome.delivered)
            if not record_outcome(claimed, outcome, disable_after=DISABLE_AFTER):
                log.warning("delivery_came_late", delivery=claimed.id, attempt=claimed.number)
            log.info(
                "webhook_delivered" if outcome.delivered else "webhook_failed",
                delivery=claimed.id,
                subscription=claimed.subscription_id,
                attempt=claimed.number,
                status=outcome.status,
                # The error is kept on the delivery, not logged: it may quote the address.
                milliseconds=outcome.milliseconds,
            )
        except ERRORS as error:
            # Its lease will end, and then it is made again.
            log.warning("delivery_unrecorded", delivery=claimed.id, error=error)
            drop_connection()
        except Exception:
            log.exception("delivery_crashed", delivery=claimed.id)
            drop_connection()
        finally:
            connection.close()
            self._room.release()
            self._service.wake()


_deliverer: Deliverer | None = None


def begin() -> None:
    """Deliver in this process, from now on."""
    global _deliverer
    _deliverer = Deliverer()


def wake() -> None:
    """Something is due; if this process delivers, it looks at once."""
    if _deliverer is not None:
        _deliverer.wake()


def end() -> None:
    global _deliverer
    if _deliverer is not None:
        _deliverer.stop()
        _deliverer = None
