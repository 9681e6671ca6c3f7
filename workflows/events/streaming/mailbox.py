"""The messages that wait for one listener of a stream, from the moment when it joined the hub."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from workflows.core import patterns
from workflows.events.store.streams import Line


@dataclass(frozen=True, slots=True)
class Filter:
    """What a listener wants: patterns of types (none: all), of the source and of the subject."""

    types: tuple[str, ...] = ()
    source: str | None = None
    subject: str | None = None
    #: the only sources that the listener may hear; None: all. No part of what was asked for
    sources: frozenset[str] | None = None

    def takes(self, line: Line) -> bool:
        if self.sources is not None and line.source not in self.sources:
            return False
        if self.types and not patterns.any_matches(self.types, line.type):
            return False
        if self.source is not None and not patterns.matches(self.source, line.source):
            return False
        return self.subject is None or patterns.matches(self.subject, line.subject or "")


class Mailbox:
    """Belongs to the listener's event loop; the hub's thread calls only `send`, `close` and `cancel`."""

    def __init__(self, wanted: Filter, principal: str, *, room: int, joined: Mapping[int, int]) -> None:
        """joined: the hub's position at the start: what it reads from there on is put in here."""
        self.filter = wanted
        self.principal = principal
        self.joined = dict(joined)
        #: how many batches the hub has sent; under its lock
        self.sent = 0
        #: since when the mailbox is too full, on the monotonic clock
        self.full_since: float | None = None
        self.closed = ""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._room = room
        self._received = 0
        self._waiting: deque[bytes] = deque()
        self._news = asyncio.Event()

    # --- the hub's side: from its thread

    def send(self, messages: list[bytes]) -> None:
        self.sent += 1
        self._call(self._receive, messages)

    def close(self, reason: str) -> None:
        """Let nothing more in; the listener gets the reason."""
        self._call(self._close, reason)

    def cancel(self) -> None:
        """End the stream at once: its connection takes nothing any more."""
        if self._task is not None:
            self._call(self._task.cancel)

    def _call(self, do: object, *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # that loop has ended meanwhile
            self._loop.call_soon_threadsafe(do, *arguments)  # type: ignore[arg-type]

    # --- the listener's side: in its loop

    def _receive(self, messages: list[bytes]) -> None:
        self._received += 1
        if self.full_since is not None:
            return
        room = self._room - len(self._waiting)
        self._waiting.extend(messages[:room])
        if room < len(messages):
            self.full_since = time.monotonic()
        self._news.set()

    def _close(self, reason: str) -> None:
        self.closed = self.closed or reason
        self._news.set()

    def take(self) -> bytes:
        """Everything that waits, in one piece; empty if nothing waits."""
        self._news.clear()
        taken = b"".join(self._waiting)
        self._waiting.clear()
        return taken

    @property
    def idle(self) -> bool:
        """Whether everything that the hub has sent was taken. Called under the hub's lock."""
        return self._received == self.sent and not self._waiting

    async def news(self, seconds: float) -> bool:
        """Wait up to `seconds` until there is something to take or to report. Returns whether there is."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True
