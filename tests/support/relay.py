"""A path to a server that a test cuts, or makes swallow everything, without touching the server."""

import socket
import threading
from contextlib import suppress
from types import TracebackType


class Relay:
    """Forwards connections to `target` while it is whole. A context manager."""

    def __init__(self, target: tuple[str, int], listener: socket.socket | None = None) -> None:
        """listener: where others connect, such as a socket in a network namespace; by default a free port."""
        self._target = target
        self._listener = listener or socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self._flows = threading.Event()
        self._flows.set()
        self._refuses = False
        self._links: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections, and every new one at once."""
        self._refuses = True
        self._drop()

    def swallow(self) -> None:
        """Keep connections, take new ones, and pass nothing on: as a frozen server, or a lost network."""
        self._flows.clear()

    def mend(self) -> None:
        """Pass everything on again; what was under way while it was away is dropped."""
        self._refuses = False
        self._drop()
        self._flows.set()

    def _drop(self) -> None:
        for link in list(self._links):
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._refuses:
                client.close()
                continue
            server = socket.create_connection(self._target)
            self._links |= {client, server}
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while piece := one.recv(65_536):
                self._flows.wait()
                other.sendall(piece)
        for link in (one, other):
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        self._links.discard(one)
        one.close()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self.mend()
