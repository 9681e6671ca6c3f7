"""A client that speaks HTTP as badly as it likes: bytes over a socket."""

import socket
import time
from urllib.parse import urlsplit


class Raw:
    """One connection. source: the loopback address to call from."""

    def __init__(self, url: str, *, source: str = "127.0.0.1", buffer: int = 0) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._socket = socket.socket()
        if buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._socket.bind((source, 0))
        self._socket.settimeout(10)
        self._socket.connect((parts.hostname, parts.port))

    def send(self, data: bytes) -> bool:
        """False if the connection was closed."""
        try:
            self._socket.sendall(data)
        except OSError:
            return False
        return True

    def drip(self, seconds: float, every: float = 0.1, byte: bytes = b"x") -> float:
        """Sends one byte after the other. Returns the seconds until the server closed, or until all were sent."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if not self.send(byte):
                break
            self._socket.settimeout(every)
            try:
                if self._socket.recv(1, socket.MSG_PEEK) == b"":
                    break
                return time.monotonic() - began
            except TimeoutError:
                continue
            except OSError:
                break
        return time.monotonic() - began

    def answer(self, seconds: float = 10) -> bytes:
        """Everything that arrives until the server closes the connection or sends nothing for that long."""
        self._socket.settimeout(seconds)
        said = b""
        try:
            while piece := self._socket.recv(65_536):
                said += piece
        except OSError:
            return said
        return said

    def status(self, seconds: float = 10) -> int:
        """The status of the next answer; 0 if the connection ends without one."""
        self._socket.settimeout(seconds)
        said = b""
        try:
            while b"\r\n" not in said and (piece := self._socket.recv(1)):
                said += piece
        except OSError:
            return 0
        return int(said.split()[1]) if said.startswith(b"HTTP/") else 0

    def closed(self, seconds: float = 10) -> bool:
        """Whether the server closes the connection in that time. Discards what it sends before."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                if self._socket.recv(65_536) == b"":
                    return True
            except TimeoutError:
                return False
            except OSError:
                return True
        return False

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
