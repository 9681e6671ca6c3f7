"""Tells a service outside that PULSE is alive: when the pings end, that service wakes somebody (a dead man's switch).

A ping says that a frame was gathered, judged and committed just now. It is sent by the leader that did so, on a thread
of its own: a service that does not answer delays no tick. Pings that fail are reported, and are not sent later: they
would say nothing about now.
"""

import threading
from datetime import UTC, datetime

import structlog

from erip.foundation.outbound.addresses import Refused, Unresolved
from erip.foundation.outbound.posting import DeliveryFailed, send
from erip.foundation.service import Service
from monitoring.channels.sending import allows_private, url_fault

log = structlog.get_logger(__name__)


class Heartbeat:
    def __init__(self, url: str) -> None:
        """url: "" sends nothing."""
        self._url = url
        self._healthy = threading.Event()
        self._service = Service("heartbeat", self._turn)

    def begin(self) -> None:
        if not self._url:
            return
        if url_fault(self._url) is not None:
            log.error("heartbeat_cannot_be_sent", setting="ERIP_ALERT_HEARTBEAT_URL")
            return
        self._service.start()

    def healthy(self) -> None:
        """A frame was judged and committed just now."""
        self._healthy.set()

    def _turn(self) -> None:
        if self._healthy.wait(5.0):
            self._healthy.clear()
            self.ping()

    def ping(self) -> bool:
        """Returns whether it was taken."""
        try:
            send(self._url, b"", {}, now=datetime.now(UTC), allow_private=allows_private())
        except (DeliveryFailed, Refused, Unresolved) as error:
            # Whoever knows the URL can keep somebody asleep: it is not logged.
            log.warning("heartbeat_not_taken", kind=type(error).__name__, status=getattr(error, "status", None))
            return False
        return True
