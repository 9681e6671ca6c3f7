"""An HTTP server that answers as a test says, bytes for bytes, also what no server should send."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson

#: the bytes of an answer; or what sends them itself; None: the connection is closed without an answer
Answer = bytes | Callable[[socket.socket], None] | None


def answer(status: int, body: object = b"", media: str = "application/json", **headers: str) -> bytes:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {media}", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def problem(status: int, code: str, detail: str = "It is so.", **more: object) -> bytes:
    headers = {name: str(more.pop(name)) for name in ("Retry_After",) if name in more}
    document = {"status": status, "code": code, "detail": detail, **more}
    return answer(status, document, "application/problem+json", **headers)


@dataclass
class Scripted:
    url: str
    #: heads and bodies, as they came
    requests: list[bytes] = field(default_factory=list)

    def headers(self, name: str) -> list[str]:
        """The values that a header had, of each request that had it."""
        found = [line for one in self.requests for line in one.partition(b"\r\n\r\n")[0].decode().split("\r\n")]
        return [line.partition(":")[2].strip() for line in found if line.lower().startswith(f"{name.lower()}:")]


@contextmanager
def scripted(
    answers: Sequence[Answer] | Callable[[bytes], Answer], certificate: Path | None = None
) -> Iterator[Scripted]:
    """answers: one for each request, the last for all that come after; or what makes one of a request.

    certificate: a bundle, with which the server speaks TLS.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
    if tls is not None:
        tls.load_cert_chain(certificate)
    server = Scripted(f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}")

    def answer_one(connection: socket.socket) -> None:
        with suppress(OSError), tls.wrap_socket(connection, server_side=True) if tls else connection as connection:
            connection.settimeout(10)
            request = _read(connection)
            number = len(server.requests)
            server.requests.append(request)
            said = answers(request) if callable(answers) else answers[min(number, len(answers) - 1)]
            if callable(said):
                said(connection)
            elif said is not None:
                connection.sendall(said)

    def serve() -> None:
        with suppress(OSError):  # the listener was closed: the test is over
            while True:
                threading.Thread(target=answer_one, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=10)


def _read(connection: socket.socket) -> bytes:
    """A request with its body."""
    found = b""
    while b"\r\n\r\n" not in found:
        if not (chunk := connection.recv(65_536)):
            return found
        found += chunk
    head, _, body = found.partition(b"\r\n\r\n")
    length = next(
        (int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length and (chunk := connection.recv(65_536)):
        body += chunk
    return head + b"\r\n\r\n" + body
