"""What one listener of a stream is sent, from the first byte to the last. In its event loop, without a thread."""

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import orjson
from asgiref.sync import sync_to_async
from django.db import connection

from erip.foundation.db.connections import release_connections
from erip.foundation.http.request_threads import give_back
from erip.foundation.process import draining
from workflows.core import cursors
from workflows.events.conf import conf
from workflows.events.errors import CursorTooOld, CursorUnknown
from workflows.events.store import streams
from workflows.events.streaming.hub import Hub, message
from workflows.events.streaming.mailbox import Filter, Mailbox

#: events of a partition that a returning listener reads at once
PAGE: Final = 200
#: milliseconds after which a client that lost its connection comes back
RETRY: Final = 1_000
SLOW: Final = "too_slow"
#: seconds between two checks whether the hub has caught up with a new listener
REACH_EVERY: Final = 0.05

_hub: Hub | None = None
_lock = threading.Lock()


def hub() -> Hub:
    """This process's."""
    global _hub
    with _lock:
        if _hub is None:
            settings = conf()
            _hub = Hub(limit=settings.streams, limit_of_one=settings.streams_per_caller, room=settings.stream_buffer)
        return _hub


def forget() -> None:
    """For tests: the next stream begins with a new hub."""
    global _hub
    with _lock:
        ended, _hub = _hub, None
    if ended is not None:
        ended.stop()


def _let_go() -> None:
    """This process is about to end, and a stream does not end by itself: see Note [Draining a web process]."""
    if _hub is not None:
        _hub.close("shutting_down")


draining.when_begun(_let_go)


def begin_at(text: str | None) -> dict[int, int] | None:
    """The positions of a Last-Event-ID; None without one. Raises CursorUnknown, CursorTooOld."""
    if not text:
        return None
    try:
        cursor = cursors.decode(text)
    except ValueError as error:
        raise CursorUnknown from error
    ends = streams.ends()
    if any(cursor.get(number, 0) > end for number, end in ends.items()) or cursor.keys() - ends.keys():
        raise CursorUnknown
    if any(cursor.get(number, 0) < begin for number, begin in streams.begins().items()):
        raise CursorTooOld
    return {number: cursor.get(number, 0) for number in ends}


class Stream:
    """The content of a response: server-sent events from the cursor on, or from now on.

    `hub().enter(principal)` was called; `close` leaves. It is called however the response ends, from any thread.
    """

    def __init__(self, wanted: Filter, principal: str, cursor: Mapping[int, int] | None) -> None:
        self._wanted = wanted
        self._principal = principal
        self._cursor = cursor
        self._hub = hub()
        self._mailbox: Mailbox | None = None
        # This also happens if nobody ever reads the stream.
        self._leave = weakref.finalize(self, self._hub.leave, principal)

    def close(self) -> None:
        if self._mailbox is not None:
            self._hub.part(self._mailbox)
        self._leave()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            # A stream needs no thread and no connection for hours.
            await sync_to_async(release_connections)()
            give_back()
            yield f"retry: {RETRY}\n\n".encode()
            await _in_thread(self._hub.begin)
            at = self._cursor
            while at is not None and not self._hub.reached(at):
                # Another process served this listener before, and is a moment ahead.
                await asyncio.sleep(REACH_EVERY)
            mailbox = self._join()
            while at is not None:
                # What it missed, up to where the hub stood when it joined.
                async for page in _missed(self._wanted, at, mailbox.joined):
                    yield page
                if mailbox.full_since is None:
                    break
                # That took so long that the mailbox is full. What it threw away is still in the log.
                at = mailbox.joined
                mailbox = self._join()
            async for piece in _live(self._hub, mailbox):
                yield piece
        finally:
            self.close()

    def _join(self) -> Mailbox:
        if self._mailbox is not None:
            self._hub.part(self._mailbox)
        self._mailbox = self._hub.join(self._wanted, self._principal)
        return self._mailbox


async def _missed(wanted: Filter, at: Mapping[int, int], until: Mapping[int, int]) -> AsyncIterator[bytes]:
    """The events between, page by page."""
    at = {number: at.get(number, 0) for number in until}
    while any(at[number] < until[number] for number in until):
        lines = await _in_thread(streams.read, at, until, most=PAGE)
        counts: dict[int, int] = {}
        page: list[bytes] = []
        for line in lines:
            at[line.partition] = line.position + 1
            counts[line.partition] = counts.get(line.partition, 0) + 1
            if wanted.takes(line):
                page.append(message(line, cursors.encode(at)))
        for number in until:
            if counts.get(number, 0) < PAGE:
                at[number] = until[number]
        if page:
            yield b"".join(page)


async def _live(here: Hub, mailbox: Mailbox) -> AsyncIterator[bytes]:
    heartbeat = conf().stream_heartbeat
    while True:
        if piece := mailbox.take():
            yield piece
        elif mailbox.full_since is not None:
            yield _ending(SLOW, "The events came faster than they were taken. Connect again to go on.")
            return
        elif mailbox.closed:
            yield _ending(mailbox.closed, "Connect again to go on, if you may.")
            return
        elif not await mailbox.news(heartbeat):
            # An id without data moves the client's Last-Event-ID past events that are not for it.
            cursor = here.cursor_of_idle(mailbox)
            yield b": heartbeat\n" + (f"id: {cursor}\n\n".encode() if cursor else b"\n")


def _ending(reason: str, text: str) -> bytes:
    return b"event: end\ndata: " + orjson.dumps({"reason": reason, "message": text}) + b"\n\n"


async def _in_thread(function: Callable[..., Any], *arguments: object, **named: object) -> Any:
    """In one of the loop's few threads, which keeps no connection."""

    def call() -> Any:
        try:
            return function(*arguments, **named)
        finally:
            connection.close()

    return await sync_to_async(call, thread_sensitive=False)()
