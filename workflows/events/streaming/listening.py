"""What one listener of a stream is sent, from the first byte to the last. In its event loop, without a thread."""

import contextlib
import signal
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Final

import orjson
from asgiref.sync import SyncToAsync, sync_to_async
from django.db import connection

from workflows.core import cursors
from workflows.events.conf import conf
from workflows.events.errors import CursorTooOld, CursorUnknown
from workflows.events.store import streams
from workflows.events.streaming.hub import Hub, message
from workflows.events.streaming.mailbox import Filter, Mailbox

#: events of a partition that a listener which comes back reads at once
PAGE: Final = 200
#: milliseconds after which a client that lost its connection comes back
RETRY: Final = 1_000
SLOW: Final = "too_slow"

_hub: Hub | None = None
_lock = threading.Lock()


def hub() -> Hub:
    """This process's."""
    global _hub
    with _lock:
        if _hub is None:
            settings = conf()
            _hub = Hub(limit=settings.streams, limit_of_one=settings.streams_per_caller, room=settings.stream_buffer)
            _end_with_the_process(_hub)
        return _hub


def forget() -> None:
    """For tests: the next stream begins with a new hub."""
    global _hub
    with _lock:
        ended, _hub = _hub, None
    if ended is not None:
        ended.stop()


def _end_with_the_process(ending: Hub) -> None:
    """A server waits for its connections before it ends, and a stream does not end by itself."""

    def end(number: int, frame: object) -> None:
        ending.close("shutting_down")
        if callable(before):
            before(number, frame)  # type: ignore[arg-type]

    # Event loops are woken by a descriptor that Python writes to whatever the handler is, so theirs work on.
    with contextlib.suppress(ValueError):  # not the main thread, so not a server's process
        before = signal.getsignal(signal.SIGTERM)
        if before is not signal.SIG_DFL:
            signal.signal(signal.SIGTERM, end)


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

    `hub().enter(principal)` was called; it leaves at its end, also if nobody ever reads it.
    """

    def __init__(self, wanted: Filter, principal: str, cursor: Mapping[int, int] | None) -> None:
        self._events = _events(hub(), wanted, principal, cursor)
        self._left = weakref.finalize(self, hub().leave, principal)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async with contextlib.aclosing(self._events) as events:
                async for piece in events:
                    yield piece
        finally:
            self._left()


async def _events(
    here: Hub, wanted: Filter, principal: str, cursor: Mapping[int, int] | None
) -> AsyncGenerator[bytes, None]:
    mailbox: Mailbox | None = None
    try:
        await _give_thread_back()
        yield f"retry: {RETRY}\n\n".encode()
        await _in_thread(here.begin)
        mailbox = here.join(wanted, principal)
        at = dict(cursor) if cursor is not None else mailbox.joined
        while True:
            # What it missed, up to where the hub stood when it joined.
            async for page in _missed(wanted, at, mailbox.joined):
                yield page
            at = mailbox.joined
            if mailbox.full_since is None:
                break
            # It took so long that the mailbox is full. What was thrown away is in the log.
            here.part(mailbox)
            mailbox = here.join(wanted, principal)
        async for piece in _live(here, mailbox):
            yield piece
    finally:
        if mailbox is not None:
            here.part(mailbox)


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
            # An id without data moves the client's Last-Event-ID on past what is not for it.
            cursor = here.cursor_of_idle(mailbox)
            yield b": heartbeat\n" + (f"id: {cursor}\n\n".encode() if cursor else b"\n")


def _ending(reason: str, text: str) -> bytes:
    return b"event: end\ndata: " + orjson.dumps({"reason": reason, "message": text}) + b"\n\n"


async def _in_thread(function: object, *arguments: object, **named: object) -> object:
    """In one of the loop's few threads, which keeps no connection."""

    def call() -> object:
        try:
            return function(*arguments, **named)  # type: ignore[operator]
        finally:
            connection.close()

    return await sync_to_async(call, thread_sensitive=False)()


async def _give_thread_back() -> None:
    """Each request has a thread of its own for what is synchronous, with the connections that were used in it. A stream
    needs neither for hours. What Django does at the end of the request gets another."""
    if (context := SyncToAsync.thread_sensitive_context.get(None)) is None:
        return
    await sync_to_async(connection.close)()
    executor = SyncToAsync.context_to_thread_executor.pop(context, None)
    if executor is not None:
        executor.shutdown(wait=False)
