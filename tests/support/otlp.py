"""A collector of OpenTelemetry: a real server that keeps what it is sent."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def collector_of_opentelemetry(status: list[int]) -> Iterator[tuple[str, list[tuple[dict[str, str], Any]]]]:
    """A real server. status: of its answers, the last one for good. Yields its URL, and what it was sent."""
    came: list[tuple[dict[str, str], Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            came.append(({"path": self.path, **headers}, json.loads(body)))
            self.send_response(status.pop(0) if len(status) > 1 else status[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Not to the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/otlp", came
    finally:
        server.shutdown()
        server.server_close()


def attributes(of: Any) -> dict[str, Any]:
    """Of a resource or a span."""
    return {one["key"]: next(iter(one["value"].values())) for one in of["attributes"]}


def spans(came: list[tuple[dict[str, str], Any]]) -> list[dict[str, Any]]:
    """All that came, whichever request they came in."""
    return [
        span
        for _, body in list(came)
        for resource in body.get("resourceSpans", ())
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
