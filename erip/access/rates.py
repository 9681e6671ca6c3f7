"""Limits how many requests an API key may send, if it has a rate.

Each web process allows a key its rate: so many requests a minute, as many at once, and then one more whenever its time
has come. The others are answered with 429 before anything of them is read. The platform as a whole therefore takes up
to the rate times the number of its web processes. A request with a key that this process has not read for
ERIP_API_KEY_CACHE_SECONDS is let through, and has it read. Nobody uses up the rate of somebody else's key: only
requests with the right secret count. A key without a rate costs one look into a dictionary.
"""

import time
from collections.abc import Callable
from math import ceil
from typing import Any, Final

import structlog
from cachetools import LRUCache

from erip.foundation.http.problems import Problem

from . import keys
from .guessing import App, Scope, bearer_of

log = structlog.get_logger(__name__)

#: keys whose requests a process counts
REMEMBERED: Final = 10_000


class KeyRates:
    """ASGI middleware, behind `WrongKeys`. It runs in the event loop alone."""

    def __init__(self, app: App, clock: Callable[[], float] = time.monotonic) -> None:
        self.app = app
        self._clock = clock
        #: by prefix: how many requests are left, and as of when
        self._left: LRUCache[str, tuple[float, float]] = LRUCache(maxsize=REMEMBERED)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        bearer = bearer_of(scope) if scope["type"] == "http" else None
        key = keys.limited(bearer) if bearer is not None else None
        if key is not None and key.rate and (seconds := self._take(key.prefix, key.rate)) > 0:
            log.warning("key_slowed", key=key.name, rate=key.rate)
            return await _refuse(send, scope["path"], seconds, key.rate)
        return await self.app(scope, receive, send)

    def forget(self) -> None:
        """Count anew: for tests."""
        self._left.clear()

    def _take(self, prefix: str, rate: int) -> float:
        """Count a request. Returns the seconds until the next one may come; 0 if there are not too many."""
        now = self._clock()
        left, at = self._left.get(prefix, (float(rate), now))
        left = min(float(rate), left + (now - at) * rate / 60)
        if left < 1:
            self._left[prefix] = (left, now)
            return (1 - left) * 60 / rate
        self._left[prefix] = (left - 1, now)
        return 0.0


async def _refuse(send: Any, path: str, seconds: float, rate: int) -> None:
    problem = Problem(429, "key-too-fast", f"This API key may send {rate:,} requests a minute; try again later.")
    body, media_type = problem.written_at(path)
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(max(1, ceil(seconds))).encode()),
        # The body, if any, is not read.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body})
