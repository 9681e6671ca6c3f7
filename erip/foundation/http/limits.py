"""How large a body may be, enforced before anything is kept of it.

Django's ASGI handler spools a whole body to disk before the first view runs, and REST framework takes a body
without Content-Length (chunked) for no body. `BodyLimit` stands in front of both: it refuses what is too
large while it comes in, and gives a chunked body its length.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings

from erip.foundation.http.problems import MEDIA_TYPE, Problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BULK_PATH = "/api/v1/runs/bulk"
EVENTS_PATH = "/api/v1/events"


def body_limit(path: str) -> int:
    """How many bytes the body of a request to `path` may have."""
    if path == EVENTS_PATH:
        return int(settings.ERIP_EVENT_BODY_LIMIT)
    return int(settings.ERIP_API_BULK_BODY_LIMIT if path == BULK_PATH else settings.ERIP_API_BODY_LIMIT)


class BodyLimit:
    """ASGI middleware: answers 413 to a body over the limit, whatever its transfer encoding."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = body_limit(scope["path"])
        declared = _content_length(scope)
        if declared is not None:
            # The server never hands on more than was declared.
            if declared > limit:
                return await _refuse(send, limit)
            return await self.app(scope, receive, send)
        if not any(name == b"transfer-encoding" for name, _ in scope["headers"]):
            return await self.app(scope, receive, send)
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > limit:
                return await _refuse(send, limit)
        sized = dict(scope)
        sized["headers"] = [
            *((name, value) for name, value in scope["headers"] if name != b"transfer-encoding"),
            (b"content-length", str(len(body)).encode()),
        ]
        return await self.app(sized, replay(bytes(body), receive), send)


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out `body` first, which was read already."""
    told = False

    async def replayed() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _content_length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None


async def _refuse(send: Send, limit: int) -> None:
    body = Problem(413, "payload-too-large", f"The body may have {limit} bytes at most.").body()
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        # What is left of the body is not read.
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
