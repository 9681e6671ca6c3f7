"""Who is woken: a receiver of webhooks on this machine, to which a private stack sends its alerts."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: for a receiver that lives as long as one benchmark, and verifies nothing
SECRET = "whsec_YmVuY2htYXJrLXBhZ2VyLWJlbmNobWFyay1wYWdlcg=="  # noqa: S105  # nosec B105


@dataclass(frozen=True, slots=True)
class Received:
    """One message. at: time.time() when it was there; key: the same for doubles; path: that it was posted to."""

    at: float
    key: str
    body: dict[str, Any]
    path: str = "/"

    @property
    def rung(self) -> int:
        """Of the ladder, from 1: what announces an alert is the first call."""
        return int((self.body.get("escalation") or {}).get("rung", 1))

    @property
    def wakes(self) -> bool:
        """Whether it is a page about something that is so, and neither a ticket nor an end."""
        return self.body.get("severity") == "page" and self.body.get("state") != "resolved"


@dataclass
class Pager:
    url: str
    received: list[Received] = field(default_factory=list)

    def pages(self, since: float, until: float) -> list[Received]:
        """The pages of this time, doubles left out."""
        found = {one.key: one for one in reversed(self.received) if one.wakes and since <= one.at < until}
        return sorted(found.values(), key=lambda one: one.at)


@contextmanager
def pager() -> Iterator[Pager]:
    """A receiver, and the settings by which a stack that is started meanwhile sends its alerts there."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(min(1_000_000, int(self.headers["Content-Length"])))
            made.received.append(Received(time.time(), str(self.headers["webhook-id"]), json.loads(body), self.path))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Pager(f"http://127.0.0.1:{server.server_address[1]}/")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = {
        "ERIP_ALERT_WEBHOOKS": made.url,
        "ERIP_ALERT_WEBHOOK_SECRET": SECRET,
        "ERIP_WEBHOOK_ALLOW_PRIVATE": "true",
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield made
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        server.shutdown()
        server.server_close()
