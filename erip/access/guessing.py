"""Limits how many invalid API keys an address may send.

Nobody guesses a key of 238 bits. But each wrong one costs a query, and a client with a revoked key sends it for ever.
So each process allows an address a number of wrong keys, and one more every few seconds; further ones are answered with
429 before anything is looked up. Keys that have been valid in this process before are always let through, however long
ago that was; other keys are let through only as often as wrong ones. So a client with wrong keys cannot shut out owners
of good keys who share its address.
"""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from math import ceil
from typing import Any, Final

import structlog
from cachetools import LRUCache

from erip.foundation.http.addresses import address_group, client_address
from erip.foundation.http.problems import Problem

from . import keys
from .tokens import checking

log = structlog.get_logger(__name__)

#: wrong keys that an address may send at once, and seconds until it may send one more
BURST: Final = 20
EVERY: Final = 2.0
#: addresses that a process remembers
REMEMBERED: Final = 10_000

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


class WrongKeys:
    """ASGI middleware, behind `TrueClient`. It runs in the event loop alone."""

    def __init__(self, app: App, clock: Callable[[], float] = time.monotonic) -> None:
        self.app = app
        self._clock = clock
        #: by address: how many wrong keys are left, and as of when. An address that sent no wrong key is not here.
        self._left: LRUCache[str, tuple[float, float]] = LRUCache(maxsize=REMEMBERED)
        #: digests of the keys that opened something. What `keys` remembers is forgotten within seconds, and the key
        #: would have to be lucky then to be looked up again.
        self._good: LRUCache[bytes, bool] = LRUCache(maxsize=REMEMBERED)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        bearer = bearer_of(scope) if scope["type"] == "http" else None
        if bearer is None:
            return await self.app(scope, receive, send)
        counted = False
        if self._left:
            group = address_group(client_address(scope))
            counted = self._is_suspect(group) and keys.digest_of(bearer) not in self._good
            if counted and (seconds := self._take(group)) > 0:
                return await _refuse(send, scope["path"], seconds)

        async def watching(message: Any) -> None:
            if message["type"] == "http.response.start":
                self._learn(bearer, client_address(scope), refused=message["status"] == 401)
                if counted != (message["status"] == 401):
                    group = address_group(client_address(scope))
                    if counted:
                        self._give_back(group)
                    else:
                        self._take(group)
            await send(message)

        return await self.app(scope, receive, watching)

    def forget(self) -> None:
        """Know no address and no key: for tests."""
        self._left.clear()
        self._good.clear()

    def _is_suspect(self, group: str) -> bool:
        """Whether the address sent wrong keys lately. Once all of its chances are back, it is like any other."""
        found = self._left.get(group)
        if found is None:
            return False
        if found[0] + (self._clock() - found[1]) / EVERY >= BURST:
            del self._left[group]
            return False
        return True

    def _learn(self, bearer: str, address: str, *, refused: bool) -> None:
        digest = keys.digest_of(bearer)
        if refused:
            self._good.pop(digest, None)
        # An answer may have needed no key, such as a 404.
        elif digest not in self._good and (keys.remembered(bearer, address) or checking.remembered(bearer)):
            self._good[digest] = True

    def _take(self, group: str) -> float:
        """Count a wrong key. Returns the seconds until the next one may come; 0 if there are not too many."""
        now = self._clock()
        left, at = self._left.get(group, (float(BURST), now))
        left = min(float(BURST), left + (now - at) / EVERY)
        if left < 1:
            self._left[group] = (left, now)
            return (1 - left) * EVERY
        self._left[group] = (left - 1, now)
        if left < 2:
            log.warning("wrong_keys_slowed", address=group)
        return 0.0

    def _give_back(self, group: str) -> None:
        if (found := self._left.get(group)) is not None:
            self._left[group] = (found[0] + 1, found[1])


def bearer_of(scope: Scope) -> str | None:
    """The key that a request brings; None if it brings none."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            # Text that is not ASCII is no key, and is not found.
            return value[7:].strip().decode("latin-1") if value[:7].lower() == b"bearer " else None
    return None


async def _refuse(send: Any, path: str, seconds: float) -> None:
    said = "Too many API keys from this address opened nothing; try again later."
    problem = Problem(429, "too-many-wrong-keys", said)
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
