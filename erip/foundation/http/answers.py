"""Headers that every answer has, whatever made it: a probe, the front door, the light path, Django, or a timeout.

Django's middlewares set them on what passes through them. What they did not set is added here, at its strictest: a
browser may not guess the type, frame, run or load anything of an answer that says nothing about it, and answers of the
API, which hold data of the caller, and refusals are kept by no cache; over HTTPS a browser is told to remember that,
also by answers that did not come to Django. What passes here is timed: `timing`.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from erip.foundation.http import timing
from erip.foundation.http.problems import API, SCIM

Scope = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]

#: where answers hold data of the caller
_DATA = (API, SCIM)
_NOTHING = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HSTS = b"strict-transport-security"
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
                if settings.SECURE_HSTS_SECONDS and _HSTS not in there and _came_by_https(scope):
                    missing.append((_HSTS, _remembered()))
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
        (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    )


def _came_by_https(scope: Scope) -> bool:
    """As HttpRequest.is_secure says, of a request that may not have come to Django."""
    if settings.SECURE_PROXY_SSL_HEADER:
        variable, secure = settings.SECURE_PROXY_SSL_HEADER
        wanted = variable.removeprefix("HTTP_").replace("_", "-").lower().encode()
        for name, value in scope["headers"]:
            if name.lower() == wanted:
                return bool(value.split(b",", 1)[0].strip() == secure.encode())
    return bool(scope.get("scheme") == "https")


def _remembered() -> bytes:
    """As SecurityMiddleware writes it (RFC 6797)."""
    more = "; includeSubDomains" if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS else ""
    return f"max-age={settings.SECURE_HSTS_SECONDS}{more}{'; preload' if settings.SECURE_HSTS_PRELOAD else ''}".encode()


def _forget(**_: Any) -> None:
    _wanted.cache_clear()


setting_changed.connect(_forget)
