"""Headers that every answer has, whatever made it: a probe, the front door, the light path, Django, or a timeout.

Django's middlewares set them on what passes through them. What they did not set is added here, at its strictest: a
browser may not guess the type, frame, run or load anything of an answer that says nothing about it, and answers of the
API, which hold data of the caller, and refusals are kept by no cache. What passes here is timed: `timing`.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from erip.foundation.http import timing

Scope = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]

#: where answers hold data of the caller
_DATA = "/api/v1/"
_NOTHING = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_NOT_KEPT = (b"cache-control", b"no-store")


class SafeAnswers:
    """ASGI middleware, outside of whatever answers."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        timing.begin(scope)

        async def complete(message: Any) -> None:
            if message["type"] == "http.response.start":
                timing.answered(scope, message["status"])
                headers = message.get("headers", ())
                there = {name.lower() for name, _ in headers}
                missing = [one for one in _wanted() if one[0] not in there]
                kept = message["status"] < 400 and not scope["path"].startswith(_DATA)
                if not kept and b"cache-control" not in there:
                    missing.append(_NOT_KEPT)
                if missing:
                    message = {**message, "headers": [*headers, *missing]}
            elif message.get("body") and scope["method"] == "HEAD":
                # Such an answer has no body (RFC 9110, section 9.3.2); the server would log one that comes from a view.
                message = {**message, "body": b""}
            await send(message)

        await self.app(scope, receive, complete)
        timing.ended(scope)


@cache
def _wanted() -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", settings.X_FRAME_OPTIONS.encode()),
        (b"referrer-policy", settings.SECURE_REFERRER_POLICY.encode()),
        (b"cross-origin-opener-policy", settings.SECURE_CROSS_ORIGIN_OPENER_POLICY.encode()),
        (b"content-security-policy", _NOTHING),
    )


def _forget(**_: Any) -> None:
    _wanted.cache_clear()


setting_changed.connect(_forget)
