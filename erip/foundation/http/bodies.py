"""Reads the body of a request: within a limit, no slower than a pace, and within the memory that there is for bodies.

Note [The pace of a body]
Whoever sends one byte a second keeps a request open for as long as it likes, and costs itself nothing. So a body has
some seconds to begin in, and must then arrive at a rate, counted from its start; and it has a longest time. What falls
behind is ended with 408. The rate is far below that of a slow telephone, and far above that of a client that drips.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

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


class ClientLeft(Exception):
    """The client closed the connection before all of the body was there."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a body must come in: see Note [The pace of a body].

    grace: seconds for which nothing has to come
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
    """The bytes that all bodies of a process may hold at once, and one holder of them half as many.

    For one event loop: nothing here is locked.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self._by_holder: dict[str, int] = {}

    @contextmanager
    def share(self, holder: str) -> "Iterator[Share]":
        """What `holder` takes in this block, given back at its end."""
        share = Share(self, holder)
        try:
            yield share
        finally:
            self._add(holder, -share.bytes)

    def has_room(self, holder: str, more: int) -> bool:
        return self.used + more <= self.total and self._by_holder.get(holder, 0) + more <= self.total // 2

    def _add(self, holder: str, more: int) -> None:
        self.used += more
        held = self._by_holder.get(holder, 0) + more
        if held:
            self._by_holder[holder] = held
        else:
            self._by_holder.pop(holder, None)


class Share:
    """What one request holds of the memory."""

    __slots__ = ("_holder", "_memory", "bytes")

    def __init__(self, memory: Memory, holder: str) -> None:
        self._memory = memory
        self._holder = holder
        self.bytes = 0

    def need(self, more: int) -> None:
        """Raises NoMemory when there is no room for `more` bytes. Takes nothing."""
        if not self._memory.has_room(self._holder, more):
            raise NoMemory

    def take(self, more: int) -> None:
        """Raises NoMemory."""
        self.need(more)
        self._memory._add(self._holder, more)
        self.bytes += more


class Crowd:
    """The bodies that come in from clients nobody knows: a bounded number, so that a form can be sent by anybody.

    When it is full, the oldest one of the address that has the most goes: a client that sends its form at once is never
    the oldest, and those who drip displace each other.
    """

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        #: group → those of it that come in, oldest first
        self._inside: dict[str, dict[_Reading, None]] = {}
        self._count = 0

    @contextmanager
    def place(self, group: str, reading: "_Reading") -> Iterator[None]:
        """`reading` ends at once when it is displaced."""
        if len(self._inside.get(group, ())) >= self._most_of_one:
            self._displace(group)
        elif self._count >= self._most:
            self._displace(max(self._inside, key=lambda one: len(self._inside[one])))
        self._inside.setdefault(group, {})[reading] = None
        self._count += 1
        try:
            yield
        finally:
            self._remove(group, reading)

    def _displace(self, group: str) -> None:
        oldest = next(iter(self._inside[group]))
        self._remove(group, oldest)
        oldest.end()

    def _remove(self, group: str, reading: "_Reading") -> None:
        inside = self._inside.get(group)
        if inside is None or reading not in inside:
            return
        del inside[reading]
        self._count -= 1
        if not inside:
            del self._inside[group]


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
    crowd: where the client has to have a place, and which `group` it belongs to; None: it is known

    Raises BodyRefused and ClientLeft.
    """
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(began + pace.due(0)) as timeout:
            reading = _Reading(timeout, pace, began)
            if crowd is None:
                return await _read(receive, limit, share, reading)
            with crowd.place(group, reading):
                return await _read(receive, limit, share, reading)
    except TimeoutError:
        raise BodyTooSlow from None


class _Reading:
    """When one body has to have come in."""

    __slots__ = ("_began", "_ended", "_pace", "_timeout")

    def __init__(self, timeout: asyncio.Timeout, pace: Pace, began: float) -> None:
        self._timeout = timeout
        self._pace = pace
        self._began = began
        self._ended = False

    def progress(self, received: int) -> None:
        if not self._ended and not self._timeout.expired():
            self._timeout.reschedule(self._began + self._pace.due(received))

    def end(self) -> None:
        """Now, whatever has come in."""
        self._ended = True
        if not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time())


async def _read(receive: Receive, limit: int, share: Share, reading: _Reading) -> bytes:
    pieces: list[bytes] = []
    received = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientLeft
        piece = message.get("body", b"")
        if received + len(piece) > limit:
            raise BodyTooLarge
        share.take(len(piece))
        received += len(piece)
        pieces.append(piece)
        if not message.get("more_body", False):
            # As it came in, it is not copied.
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        reading.progress(received)
