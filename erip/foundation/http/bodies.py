"""Reads the body of a request: within a limit, no slower than a pace, and within the memory available for bodies.

Note [The pace of a body]
A client that sends one byte a second could keep a request open for as long as it likes, at no cost to itself. So a body
has some seconds to begin, must then arrive at a minimum rate, counted from its start, and has a maximum time. A body
that falls behind is ended with 408. The rate is far below that of a slow telephone, and far above that of a client that
deliberately sends slowly.

Who asks the connection for more may miss that the time is up: `asyncio.wait_for` of Python 3.11, with which gunicorn
waits, forgets a cancellation that comes at the same moment as some bytes, and nothing would end that body any more. So
the time is looked at after every message as well.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .crowd import Crowd

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class BodyRefused(Exception):
    """The body is not read to its end. The rest of it may still come in, so the connection has to be closed."""


class BodyTooLarge(BodyRefused):
    """It is over the limit."""


class BodyTooSlow(BodyRefused):
    """It came in too slowly, or somebody else needed its place."""


class NoMemory(BodyRefused):
    """What all bodies hold at this moment leaves no room for it."""


class ClientLeft(BodyRefused):
    """Nothing more of the body comes: the client closed the connection, or the server stopped waiting for it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a body must come in: see Note [The pace of a body].

    grace: seconds in which nothing has to arrive
    rate: bytes a second after that
    longest: seconds that it may take in all
    """

    grace: float
    rate: float
    longest: float

    def due(self, received: int) -> float:
        """The seconds from its start at which a body of which `received` bytes are there has fallen behind."""
        return min(self.longest, self.grace + received / self.rate)


class Memory:
    """The bytes that all bodies of a process may hold at once; one holder may have half of them.

    A small body always has room, whatever the large ones hold, but it counts as well. For one event loop: nothing here
    is locked.
    """

    #: bytes of a small body; even one on every connection together take less than the large bodies may hold
    SMALL = 16 * 1024

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self._by_holder: dict[str, int] = {}

    @contextmanager
    def share(self, holder: str) -> "Iterator[Share]":
        """The memory that `holder` takes in this block; it is given back at the end."""
        share = Share(self, holder)
        try:
            yield share
        finally:
            self._add(holder, -share.bytes)

    def has_room(self, holder: str, more: int, held: int = 0) -> bool:
        """Whether a request that has `held` bytes may have `more`."""
        if held + more <= self.SMALL:
            return True
        return self.used + more <= self.total and self._by_holder.get(holder, 0) + more <= self.total // 2

    def _add(self, holder: str, more: int) -> None:
        self.used += more
        held = self._by_holder.get(holder, 0) + more
        if held:
            self._by_holder[holder] = held
        else:
            self._by_holder.pop(holder, None)


class Share:
    """The part of the memory that one request holds."""

    __slots__ = ("_holder", "_memory", "bytes")

    def __init__(self, memory: Memory, holder: str) -> None:
        self._memory = memory
        self._holder = holder
        self.bytes = 0

    def need(self, more: int) -> None:
        """Raises NoMemory when there is no room for `more` bytes. Takes nothing."""
        if not self._memory.has_room(self._holder, more, self.bytes):
            raise NoMemory

    def take(self, more: int) -> None:
        """Raises NoMemory."""
        self.need(more)
        self._memory._add(self._holder, more)
        self.bytes += more


async def read_body(
    receive: Receive,
    *,
    limit: int,
    pace: Pace,
    share: Share,
    crowd: Crowd | None = None,
    group: str = "",
) -> bytes:
    """The whole body, from an ASGI `receive`.

    limit: bytes that it may have
    share: takes what is read
    crowd: the crowd in which the client needs a place, as one of `group`; None: the client needs none

    Raises BodyRefused.
    """
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(began + pace.due(0)) as timeout:
            reading = _Reading(timeout, pace, began)
            if crowd is None:
                return await _read(receive, limit, share, reading)
            crowd.enter(group, reading)
            try:
                return await _read(receive, limit, share, reading)
            finally:
                crowd.leave(group, reading)
    except TimeoutError:
        raise BodyTooSlow from None


class _Reading:
    """The time by which one body must have arrived."""

    __slots__ = ("_began", "_ended", "_pace", "_timeout")

    def __init__(self, timeout: asyncio.Timeout, pace: Pace, began: float) -> None:
        self._timeout = timeout
        self._pace = pace
        self._began = began
        self._ended = False

    @property
    def over(self) -> bool:
        """Whether the time was up, also if whoever was waiting then was not told."""
        return self._timeout.expired()

    def progress(self, received: int) -> None:
        if not self._ended:
            self._timeout.reschedule(self._began + self._pace.due(received))

    def end(self) -> None:
        """The time is up now, however much has arrived."""
        self._ended = True
        if not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time())


async def _read(receive: Receive, limit: int, share: Share, reading: _Reading) -> bytes:
    pieces: list[bytes] = []
    received = 0
    while True:
        message = await receive()
        if reading.over:
            raise BodyTooSlow
        if message["type"] != "http.request":
            raise ClientLeft
        piece = message.get("body", b"")
        if received + len(piece) > limit:
            raise BodyTooLarge
        share.take(len(piece))
        received += len(piece)
        pieces.append(piece)
        if not message.get("more_body", False):
            # A body that arrived in one piece is not copied.
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        reading.progress(received)
