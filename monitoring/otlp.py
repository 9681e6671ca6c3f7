"""Sends the metrics of the cluster to a collector of OpenTelemetry, where one is set. Imported only then.

The leader that wrote a frame sends it. What cannot be sent is not repeated: counters are cumulative, so the next
request brings all that was counted, and only the gauges of that moment are lost.
"""

import gzip
import re
import threading
from collections.abc import Iterable
from typing import Any

import httpx
import orjson
import structlog

from erip.foundation.process.background import database_service
from erip.foundation.service import Service
from monitoring import exposing
from monitoring.conf import conf
from monitoring.core.otlp import document
from monitoring.reporting import may_wait

log = structlog.get_logger(__name__)

#: seconds that the collector may take, and between two looks for a frame if nobody says that there is one
PATIENCE, EVERY = 5.0, 60.0
#: RFC 9110, 5.6.2 and 5.5
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


class Exporter:
    """`note` may be called from any thread; one thread of its own sends."""

    def __init__(self) -> None:
        self._sender = Sender("/v1/metrics")
        self._wanted = threading.Event()
        self.service: Service = database_service(
            "otlp", self.send, keeps=False, every=EVERY, back_off=(5.0, 60.0), expected=may_wait
        )

    def note(self) -> None:
        """This process wrote a frame."""
        self._wanted.set()
        self.service.wake()

    def send(self) -> bool:
        """Send the newest frame, if this process wrote it. Returns whether the collector took it.

        Raises django.db.Error.
        """
        if not self._wanted.is_set():
            return False
        self._wanted.clear()
        newest = exposing.newest()
        if newest is None:
            return False
        at, families = newest
        return self._sender.post(document(families, at=at.timestamp(), version=conf().release))

    def close(self) -> None:
        self._sender.close()


class Sender:
    """Posts to one path of the collector. For one thread."""

    def __init__(self, path: str) -> None:
        settings = conf()
        self._client = httpx.Client(headers=_headers(settings.otlp_headers), timeout=PATIENCE)
        self._what = path.rpartition("/")[2]
        self._url = settings.otlp.rstrip("/") + path
        self._failing = False

    def post(self, body: dict[str, Any]) -> bool:
        """Returns whether the collector took it. Never raises for a collector that does not."""
        try:
            # What it answers beside its status is not read.
            with self._client.stream("POST", self._url, content=gzip.compress(orjson.dumps(body), 1)) as answer:
                why = "" if answer.is_success else f"it answered {answer.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            why = type(error).__name__
        if why and not self._failing:
            # Once, not every ten seconds; the URL may hold a secret.
            log.error("otlp_not_sent", what=self._what, setting="ERIP_OTLP_ENDPOINT", error=why)
        elif self._failing and not why:
            log.info("otlp_sent_again", what=self._what)
        self._failing = bool(why)
        return not why

    def close(self) -> None:
        self._client.close()


def _headers(pairs: Iterable[str]) -> dict[str, str]:
    """What cannot be a header is named in the log, without its value, and left out: a leader begins all the same."""
    found = {"content-type": "application/json", "content-encoding": "gzip"}
    for number, pair in enumerate(pairs, 1):
        name, equals, value = pair.partition("=")
        name, value = name.strip().lower(), value.strip()
        if equals and name not in found and _NAME.fullmatch(name) and _VALUE.fullmatch(value):
            found[name] = value
        else:
            log.error("otlp_header_left_out", setting="ERIP_OTLP_HEADERS", number=number)
    return found
