"""`Prefer: wait=N`: answer with the finished run if it ends in time.

A view that started a run says so with `wait_for`; the waiting itself is done here, without a thread and
without a database connection, so that a process can hold thousands of waiting callers. The middleware is
asynchronous only and must come first in MIDDLEWARE: everything after it then runs in one thread, with one hop for
each request.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest
from django.http.response import HttpResponse, HttpResponseBase

from erip.foundation.db.connections import release_connections
from erip.foundation.http.renderers import dumps
from erip.foundation.http.timing import found_wait
from workflows import queries
from workflows.api.ends import wait_for_end

log = structlog.get_logger(__name__)

#: awaits `function(*arguments)` in a thread that may use the database
InThread = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Wait:
    """What to wait for, and for how long (moments are on the monotonic clock)."""

    run_id: str
    until: float
    #: before the run was accepted; None if the run already existed
    accepted_after: float | None

    async def outcome(self, in_thread: InThread) -> bytes | None:
        """The finished run as `GET /runs/{id}` shows it; None if it did not end in time."""
        try:
            seconds = self.until - time.monotonic()
            if await wait_for_end(self.run_id, seconds, accepted_after=self.accepted_after, in_thread=in_thread):
                finished: bytes = await in_thread(_finished, self.run_id)
                return finished
        except (OperationalError, InterfaceError) as error:
            # The run was accepted, and that is still the answer.
            log.warning("outcome_not_read", run=self.run_id, error=error)
        return None


def wait_for(response: HttpResponse, wait: Wait) -> None:
    """Have the middleware answer with the finished run instead, if it ends in time."""
    response.erip_wait = wait  # type: ignore[attr-defined]


class WaitMiddleware:
    """Waits where a view asked for it."""

    sync_capable = False
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = await self.get_response(request)
        wait: Wait | None = getattr(response, "erip_wait", None)
        if wait is None or not isinstance(response, HttpResponse):
            return response
        found_wait(getattr(request, "scope", {}))
        # In the request's thread, which owns these connections.
        await sync_to_async(release_connections)()
        if (body := await wait.outcome(_in_the_request_s_thread)) is not None:
            response.content = body
            response.status_code = 200
            response.headers["Content-Length"] = str(len(body))
        return response


async def _in_the_request_s_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    return await sync_to_async(function)(*arguments)


def _finished(run_id: str) -> bytes:
    return dumps(queries.run_detail(run_id))
