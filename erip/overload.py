"""A web process that is behind turns requests away, before it works for anybody who has given up waiting.

Note [Overload]
Clients wait for a second or two and then ask again. A process that gets more than it can do answers each request too
late, so that all of its work is for nothing, and the second tries of all keep it there: after a failover of two seconds
on a busy machine it did not come back for as long as the load went on (measured: 78 s at 20 operations per second,
while each of them alone took some milliseconds). What tells is the event loop's own delay: every request passes it
several times, and it is late exactly when threads and loop want more processor time than there is. A database that is
away is no overload: threads that wait for it delay nobody.

While the loop is late by more than LATE, a request is answered 429 with Retry-After, which takes a hundredth of what
serving it takes. It is not 503, which load balancers send on to the next process, and that one has as much to do.
Health checks are always answered.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import structlog

log = structlog.get_logger(__name__)

App = Callable[[dict[str, Any], Callable[..., Awaitable[Any]], Callable[..., Awaitable[None]]], Awaitable[None]]

#: seconds between two looks at the loop's delay
EVERY = 0.05
#: seconds of delay, averaged, from which on requests are turned away: each request passes the loop about ten times
LATE = 0.1
#: of the average, how much is the last look's: one late look among others is no overload
NEW = 0.3
#: seconds between two lines in the log
TELL_EVERY = 5.0

_BODY = orjson.dumps(
    {
        "type": "urn:erip:problem:overloaded",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "More is asked than can be answered in time; try again.",
        "code": "overloaded",
    }
)
_HEADERS = [
    (b"content-type", b"application/problem+json"),
    (b"content-length", str(len(_BODY)).encode()),
    (b"retry-after", b"1"),
    (b"cache-control", b"no-store"),
]


class Overload:
    """Stands in front of `app`, and behind the health checks. One for each event loop."""

    def __init__(self, app: App, *, late: float = LATE) -> None:
        self.app = app
        self._limit = late
        self._late = 0.0
        self._looking: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._told_at = -TELL_EVERY
        self._refused = 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if self._looking is None:
            self._look_later(asyncio.get_running_loop())
        if self._late <= self._limit or scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self._refused += 1
        await send({"type": "http.response.start", "status": 429, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _BODY})

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + EVERY
        self._looking = loop.call_at(self._due, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self._late += NEW * (now - self._due - self._late)
        if self._refused and now - self._told_at > TELL_EVERY:
            log.warning("overloaded", late_seconds=round(self._late, 2), refused=self._refused)
            self._told_at, self._refused = now, 0
        self._look_later(loop)
