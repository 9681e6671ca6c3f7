"""A receiver of webhooks: a real HTTP server on a free port, which verifies what it gets."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Post:
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    url: str = ""
    posts: list[Post] = field(default_factory=list)
    #: from the number of the post (the first is 1) to the (status, headers) of its answer
    answer: Callable[[int], tuple[int, dict[str, str]]] = lambda number: (204, {})
    #: an answer waits for it
    gate: threading.Event = field(default_factory=threading.Event)
    now: int = 0
    most: int = 0


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Answers 204 at once, unless it is set otherwise."""
    receiver = Receiver()
    receiver.gate.set()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                receiver.posts.append(Post({name.lower(): value for name, value in self.headers.items()}, body))
                number = len(receiver.posts)
                receiver.now += 1
                receiver.most = max(receiver.most, receiver.now)
            receiver.gate.wait(30)
            status, headers = receiver.answer(number)
            with lock:
                receiver.now -= 1
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                pass  # the sender is gone

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    try:
        yield receiver
    finally:
        receiver.gate.set()
        server.shutdown()
        server.server_close()
