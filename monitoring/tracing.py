"""Sends what runs did to a collector of OpenTelemetry, where that is set. Imported only then.

Note [Sending spans]
Each process sends what it knows: workers their attempts with the SQL of the bodies, and whoever recorded the end of a
run the run. Nobody waits for a collector. A process keeps MOST spans at the most, one thread sends them, and what finds
no room, or is not taken, is dropped and counted (`erip_otlp_spans_total`). A collector that is away is asked again
after a pause that grows up to a minute.
"""

import atexit
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import structlog
from django.db import connections
from django.db.backends.signals import connection_created

from erip.foundation.logs import working_on
from erip.foundation.process import spans
from erip.foundation.service import Service, once
from monitoring.conf import conf
from monitoring.core.spans import Attempt, Run, document, wanted
from monitoring.otlp import Sender
from monitoring.usage import SPANS

log = structlog.get_logger(__name__)

#: spans that a process keeps, and that one request has at about the most; seconds between two requests
MOST: Final = 10_000
AT_ONCE: Final = 1_000
EVERY: Final = 1.0
#: seconds without a request after one that was not taken: the first pause, and the longest
PAUSE: Final = (2.0, 60.0)
#: seconds that the end of a process waits for the last spans
FAREWELL: Final = 1.0


class Tracing:
    """`erip.foundation.process.spans.Tracer`."""

    def __init__(self, kind: str, *, share: float, most: int = MOST) -> None:
        """kind: of the process. share: of the runs, from 0 to 1."""
        self._share = share
        self._most = most
        self._lock = threading.Lock()
        self._kept: deque[Attempt | Run] = deque()
        self._weight = 0
        self._sender = Sender("/v1/traces")
        self._pause, self._not_before = PAUSE[0], 0.0
        self._process = {"service.instance.id": f"{socket.gethostname()}:{os.getpid()}", "erip.process": kind}
        self.service = Service("otlp-traces", self.send, every=EVERY, delay=True)

    # --- what it is told ---

    def begin(self, run_id: str) -> Attempt | None:
        return Attempt(run_id) if wanted(run_id, self._share) else None

    def attempt(self, carried: Any, fields: dict[str, Any], *, error: str, seconds: float) -> None:
        carried.attributes, carried.error, carried.seconds = fields, error, seconds
        carried.ended = time.time()
        self._keep(carried)

    def run(self, run_id: str, workflow: str, outcome: str, accepted: datetime, ended: datetime) -> None:
        if wanted(run_id, self._share):
            self._keep(Run(run_id, workflow, outcome, accepted, ended))

    def _keep(self, one: Attempt | Run) -> None:
        # Asked once: a body that was given up may go on asking the database.
        weight = one.weight
        with self._lock:
            room = self._weight + weight <= self._most
            if room:
                self._kept.append(one)
                self._weight += weight
        if not room:
            SPANS.labels(outcome="dropped").inc(weight)

    # --- what it sends ---

    def send(self) -> None:
        """Send what there is, if the collector is not to be left alone for a while."""
        while time.monotonic() >= self._not_before and (portion := self._taken()):
            body = document(portion, version=conf().release, process=self._process)
            count = len(body["resourceSpans"][0]["scopeSpans"][0]["spans"])
            if self._sender.post(body):
                SPANS.labels(outcome="sent").inc(count)
                self._pause = PAUSE[0]
            else:
                SPANS.labels(outcome="dropped").inc(count)
                self._not_before = time.monotonic() + self._pause
                self._pause = min(PAUSE[1], 2 * self._pause)

    def _taken(self) -> list[Attempt | Run]:
        with self._lock:
            taken: list[Attempt | Run] = []
            weight = 0
            while self._kept and weight < AT_ONCE:
                taken.append(self._kept.popleft())
                weight += taken[-1].weight
            # What it weighed when it was kept may be less than now; with nothing kept, nothing weighs.
            self._weight = max(0, self._weight - weight) if self._kept else 0
        return taken

    def close(self) -> None:
        self._sender.close()


def note_statement(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
    """Django's wrapper of statements: notes those of a body whose attempt is traced, without their parameters."""
    carried = getattr(working_on.get(), "span", None)
    if carried is None:
        return execute(sql, params, many, context)
    began, clock, error = time.time(), time.perf_counter(), ""
    try:
        return execute(sql, params, many, context)
    except BaseException as raised:
        error = type(raised).__name__
        raise
    finally:
        carried.add(sql if isinstance(sql, str) else "SQL", began, time.perf_counter() - clock, error)


def _listen(connection: Any, **_: Any) -> None:
    if note_statement not in connection.execute_wrappers:
        connection.execute_wrappers.append(note_statement)


def begin(kind: str) -> None:
    """Trace what this process does from now on."""
    tracing = Tracing(kind, share=conf().otlp_traces)
    connection_created.connect(_listen, dispatch_uid="monitoring.tracing")
    for connection in connections.all(initialized_only=True):
        _listen(connection)
    tracing.service.start()
    spans.use(tracing)
    mine = os.getpid()

    def leave() -> None:
        # A child that was forked later inherits this, and is not the process that ends.
        if os.getpid() == mine:
            tracing.service.stop(0)
            try:
                once("last-spans", tracing.send).join(FAREWELL)
            except RuntimeError:
                # Python starts no thread any more.
                log.warning("spans_not_sent")

    atexit.register(leave)
