"""How large a body may be, and the types of ASGI.

The limit is enforced by `door.Door` while the body comes in, and by `parsers.read_limited` where no ASGI is spoken.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.conf import settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BULK_PATH = "/api/v1/runs/bulk"
EVENTS_PATH = "/api/v1/events"
#: the key of a scope under which the door puts the caller's principal, if it has just looked it up
PRINCIPAL = "erip.principal"


def body_limit(path: str) -> int:
    """How many bytes the body of a request to `path` may have."""
    if path == EVENTS_PATH:
        return int(settings.ERIP_EVENT_BODY_LIMIT)
    return int(settings.ERIP_API_BULK_BODY_LIMIT if path == BULK_PATH else settings.ERIP_API_BODY_LIMIT)


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that first hands out `body`, which was already read, and then releases it."""
    left: bytes | None = body
    del body

    async def replayed() -> Message:
        nonlocal left
        if left is None:
            return await receive()
        message = {"type": "http.request", "body": left, "more_body": False}
        left = None
        return message

    return replayed
