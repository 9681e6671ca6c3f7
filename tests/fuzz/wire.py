"""Requests as bytes, and the status that comes back. No HTTP library: it would refuse to send what is to be sent."""

import socket
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent, for the report."""

    content: bytes

    def shown(self) -> str:
        return repr(self.content[:600])


def request(method: str, target: str, headers: list[tuple[str, str]], body: bytes = b"") -> bytes:
    """HTTP/1.1, as given: characters beyond Latin-1 are sent as UTF-8."""
    lines = [f"{method} {target} HTTP/1.1"] + [f"{name}: {value}" for name, value in headers]
    head = "\r\n".join(lines) + "\r\n\r\n"
    try:
        return head.encode("latin-1") + body
    except UnicodeEncodeError:
        return head.encode("utf-8", "surrogatepass") + body


def exchange(port: int, content: bytes, *, seconds: float = 15.0) -> tuple[int, bytes]:
    """The answer's status (0: the connection was closed without one, -1: none came in time) and its first bytes."""
    received = b""
    ends = time.monotonic() + seconds
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds) as link:
            link.sendall(content)
            while len(received) < 8_192:
                link.settimeout(max(0.01, ends - time.monotonic()))
                piece = link.recv(65_536)
                if not piece:
                    break
                received += piece
                if _whole(received):
                    break
    except TimeoutError:
        if not received:
            return -1, b""
    except OSError:
        pass
    return _status(received), received


def awaits_more(content: bytes) -> bool:
    """Whether the server is right to wait: the request declares more of a body than was sent."""
    head, found, body = content.partition(b"\r\n\r\n")
    if not found:
        return True
    lower = head.lower()
    if b"transfer-encoding" in lower or not head.strip(b"\r\n"):
        return True
    lengths = [line.partition(b":")[2].strip() for line in lower.split(b"\r\n") if line.startswith(b"content-length:")]
    return any(not length.isdigit() or int(length) > len(body) for length in lengths)


def _status(received: bytes) -> int:
    first = received.split(b"\r\n", 1)[0].split(b" ")
    if len(first) >= 2 and first[0].startswith(b"HTTP/") and first[1].isdigit():
        return int(first[1])
    return 0


def _whole(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    lower = head.lower()
    if b"text/event-stream" in lower:
        return bool(body)  # it would go on for ever
    at = lower.find(b"content-length:")
    if at >= 0:
        length = lower[at + 15 :].split(b"\r\n", 1)[0].strip()
        return length.isdigit() and len(body) >= int(length)
    return b"chunked" not in lower or body.endswith(b"0\r\n\r\n")
