"""An HTTP/1.1 client for load: keep-alive connections on one event loop, parsed by httptools.

It does only what the API needs, because whatever it costs is taken from the service on the same machine. The moment of
an answer is noted when its last byte is parsed, not when the waiting task gets its turn.
"""

import asyncio
import ssl
import time
from collections import deque
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httptools
import orjson

from .errors import Missing

#: seconds after which an idle connection is not used again: the server closes it after 30
IDLE = 20.0


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes
    headers: dict[bytes, bytes]
    #: time.perf_counter() at the last byte
    ended: float

    def json(self) -> Any:
        return orjson.loads(self.body)


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.used = time.perf_counter()
        self.open = False
        self._waiting: asyncio.Future[Answer] | None = None
        self._body: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}
        self._parser = httptools.HttpResponseParser(self)

    def send(self, request: bytes) -> "asyncio.Future[Answer]":
        assert self.transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._waiting

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()
        self.open = False

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.open = True

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"no HTTP: {error}"))
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        self._fail(ConnectionError(str(error or "closed by the server")))

    # --- what httptools calls

    def on_message_begin(self) -> None:
        self._body, self._headers = [], {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        ended = self.used = time.perf_counter()
        self.open = self.open and self._parser.should_keep_alive()
        if self._waiting is not None and not self._waiting.done():
            status = self._parser.get_status_code()
            self._waiting.set_result(Answer(status, b"".join(self._body), self._headers, ended))
        self._waiting = None

    def _fail(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
        self._waiting = None


class Client:
    """Requests to one service. It opens as many connections as there are requests at a time, and keeps them."""

    def __init__(self, url: str, key: str, *, base: str = "/api/v1", context: ssl.SSLContext | None = None) -> None:
        """base: of the paths that are asked for. context: for https; None: the system's authorities are believed."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Missing(f"{url} is no http or https address.")
        self._host = parts.hostname
        self._tls = (context or True) if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._prefix = parts.path.rstrip("/") + base
        self._common = f"Host: {parts.netloc}\r\nAuthorization: Bearer {key}\r\nAccept: application/json\r\n"
        self._idle: deque[_Connection] = deque()

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: str = "",
        seconds: float = 70.0,
        content_type: str = "application/json",
    ) -> Answer:
        """The answer, whatever its status. body: bytes go as they are. Raises OSError (TimeoutError) without one."""
        content = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        head = (
            f"{method} {self._prefix}{path} HTTP/1.1\r\n{self._common}Content-Type: {content_type}\r\n"
            f"{headers}Content-Length: {len(content)}\r\n\r\n"
        )
        async with asyncio.timeout(seconds):
            connection = await self._connection()
            try:
                answer = await connection.send(head.encode() + content)
            except BaseException:
                connection.close()
                raise
        if connection.open:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    async def open_connections(self, count: int) -> None:
        """Have `count` of them ready, so that none is opened while something is timed."""
        missing = count - len(self._idle)
        for start in range(0, missing, 100):
            self._idle.extend(await asyncio.gather(*(self._connect() for _ in range(min(100, missing - start)))))

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.open and time.perf_counter() - connection.used < IDLE:
                return connection
            connection.close()
        return await self._connect()

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=self._tls)
        return connection
