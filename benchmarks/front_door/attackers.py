"""Hostile clients. Each opens a connection, sends something, goes on as slowly or as fast as it likes, and connects
again as soon as it is thrown out."""

import asyncio
import gzip
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count, cycle
from typing import Any
from urllib.parse import urlsplit

import zstandard

#: seconds between two bytes of a client that drips
DRIP_SECONDS = 0.5
#: seconds before a client connects again
AGAIN_SECONDS = 0.1
_JSON = "Content-Type: application/json"
_JUNK = f"Authorization: Bearer erip_abcdefgh_{'x' * 40}"
_BUNDLE = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"


@dataclass
class Tally:
    """How many connections were made, and how many of them the service closed."""

    made: int = 0
    closed: int = 0


@dataclass(frozen=True)
class Door:
    """Where they knock. context: for TLS; None: in the clear."""

    url: str
    context: ssl.SSLContext | None = None


def head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines, "", ""]).encode()


def _post(path: str, *lines: str) -> bytes:
    return head("POST", path, _JSON, *lines)


#: what a dripping client begins with, and what it goes on with
DRIPS: tuple[tuple[bytes, bytes], ...] = (
    (_post("/api/v1/workflows/breach-response/runs", "Content-Length: 1000") + b"{", b" "),
    (_post("/api/v1/workflows/breach-response/runs", "Content-Length: 1000", "Prefer: wait=60") + b"{", b" "),
    (_post("/api/v1/runs/bulk", "Content-Length: 10000000") + b" " * 40_000, b" "),
    (_post("/api/v1/events", "Transfer-Encoding: chunked") + b"1\r\n[\r\n", b"1\r\n \r\n"),
    (_post("/api/v1/events", "Content-Length: 1000", _JUNK) + b"[", b" "),
    (_post("/api/v1/events", "Content-Length: 1000000", _JUNK, "Expect: 100-continue") + b" " * 20_000, b" "),
    (head("POST", "/admin/login/", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 500"), b"u"),
    (b"GET /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ", b"a"),
    (b"", b""),
    (head("GET", _BUNDLE), b""),
)


async def drip(door: Door, which: int, tally: Tally) -> None:
    """For ever: one connection that drips what DRIPS[which] says, and reads nothing."""
    opening, piece = DRIPS[which % len(DRIPS)]
    while True:
        with suppress(OSError):
            async with _connection(door) as (reader, writer):
                tally.made += 1
                writer.write(opening)
                while not reader.at_eof() and not writer.is_closing():
                    await asyncio.sleep(DRIP_SECONDS)
                    writer.write(piece)
                    await writer.drain()
                tally.closed += 1
        await asyncio.sleep(AGAIN_SECONDS)


async def flood(door: Door, tally: Tally) -> None:
    """For ever: a chunked body without a key, as fast as the service takes it."""
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    while True:
        with suppress(OSError):
            async with _connection(door) as (reader, writer):
                tally.made += 1
                writer.write(_post("/api/v1/runs/bulk", "Transfer-Encoding: chunked"))
                while not reader.at_eof() and not writer.is_closing():
                    writer.write(chunk)
                    await writer.drain()
                tally.closed += 1
        await asyncio.sleep(AGAIN_SECONDS)


def bombs(key: str) -> Iterator[bytes]:
    """Requests with a key, each of which once took a process for half a minute."""
    members = gzip.compress(b"", mtime=0) * 250_000
    frames = zstandard.ZstdCompressor().compress(b"") * 400_000
    large = gzip.compress(b" " * 300_000_000)
    for encoding, body in cycle((("gzip", members[: 5 * 1024 * 1024]), ("zstd", frames), ("gzip", large))):
        lines = ("Content-Type: application/cloudevents+json", f"Content-Length: {len(body)}")
        keyed = (f"Authorization: Bearer {key}", f"Content-Encoding: {encoding}", "Connection: close")
        yield head("POST", "/api/v1/events", *lines, *keyed) + body


async def bomb(door: Door, requests: Iterator[bytes], tally: Tally) -> None:
    """For ever: one bomb after the other."""
    while True:
        with suppress(OSError):
            async with _connection(door) as (reader, writer):
                tally.made += 1
                writer.write(next(requests))
                await reader.read()
                tally.closed += 1
        await asyncio.sleep(AGAIN_SECONDS)


class _connection:
    """A connection with small buffers, closed at the end without waiting for anything."""

    def __init__(self, door: Door) -> None:
        parts = urlsplit(door.url)
        self._tls: dict[str, Any] = {}
        if door.context:
            self._tls = {"ssl": door.context, "server_hostname": parts.hostname, "ssl_handshake_timeout": 30}
        assert parts.hostname and parts.port  # noqa: PT018
        self._address = (parts.hostname, parts.port)

    async def __aenter__(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        plug = socket.socket()
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plug.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(plug, self._address)
            reader, self._writer = await asyncio.open_connection(sock=plug, limit=2048, **self._tls)
        except BaseException:
            plug.close()
            raise
        return reader, self._writer

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()


@contextmanager
def attacking(attackers: int, attack: Callable[[int], Awaitable[None]]) -> Iterator[None]:
    """Run that many of them at once, until the block ends."""
    tasks = [asyncio.ensure_future(attack(number)) for number, _ in zip(count(), range(attackers), strict=False)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
