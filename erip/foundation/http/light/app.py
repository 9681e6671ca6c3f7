"""The ASGI layer of the light path: finds a request's route, answers it, or leaves it to Django."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from contextvars import Context
from functools import cache
from typing import Any
from uuid import uuid4

import structlog
from django.utils.module_loading import import_string
from django_structlog.app_settings import app_settings
from rest_framework.exceptions import PermissionDenied

from erip.foundation.db.consistency import is_token
from erip.foundation.db.requests import HEADER, answer_headers, serving
from erip.foundation.hooks import announce_failed_request, light_door
from erip.foundation.http.addresses import client_address
from erip.foundation.http.light import middleware
from erip.foundation.http.light.messages import Caller, LightHeaders, LightRequest, LightResponse, NotLight, Route
from erip.foundation.http.light.threads import in_thread
from erip.foundation.http.limits import PRINCIPAL, App, Message, Receive, Scope, Send, replay
from erip.foundation.http.problems import Problem, failure, problem_of
from erip.foundation.http.timing import found_route, found_wait

#: returns the caller to whom the value of an Authorization header belongs, which came from this address
Authenticate = Callable[[bytes, str], Caller | None]

log = structlog.get_logger(__name__)


class Light:
    """Stands in front of `app`, and behind `Door`."""

    def __init__(self, app: App, routes: Sequence[Route], authenticate: Authenticate) -> None:
        """authenticate: returns the caller to whom the value of an Authorization header belongs, or None to let the
        ordinary view decide. Raises AuthenticationFailed.
        """
        self.app = app
        self.authenticate = authenticate
        self.routes = routes if middleware.available() else ()
        _doors()  # loaded now, and not while the first client waits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope)
        if found is None:
            return await self.app(scope, receive, send)
        route, parameters, headers, scheme = found
        found_route(scope, route.method, route.path.pattern)
        body = await _read(receive)
        if body is None:
            return None
        request = LightRequest(
            route.method, scope["path"], scope.get("query_string", b""), headers, body, route.parsers
        )
        request.known = scope.get(PRINCIPAL)
        request.client = client_address(scope)
        left = asyncio.ensure_future(receive())
        try:
            response = await _unless(left, request, in_thread(_answer, self.authenticate, route, request, parameters))
            if response is not None and response.wait is not None:
                found_wait(scope)
                response = await _unless(left, request, _finish(response))
        except NotLight:
            return await self.app(scope, replay(body, _waiting(left)), send)
        finally:
            left.cancel()
        if response is None:
            return None
        return await _send(send, response, {**route.headers, **middleware.headers_of(scheme)})

    def _find(self, scope: Scope) -> tuple[Route, dict[str, str], LightHeaders, str] | None:
        """The route and its parameters, of a request that the light path can answer."""
        if scope["type"] != "http" or scope.get("root_path"):
            return None
        for route in self.routes:
            if scope["method"] == route.method and (matched := route.path.fullmatch(scope["path"])):
                headers = LightHeaders(scope["headers"])
                scheme = middleware.scheme_of(headers, scope.get("scheme") or "http")
                # Without a length REST framework sees no body; requests that only read have none.
                measured = route.method == "GET" or headers.get("Content-Length", "").isdigit()
                keyed = headers.get("Authorization", "")[:7].lower() == "bearer "
                if measured and keyed and not headers.rare and middleware.served(headers, scheme):
                    return route, matched.groupdict(), headers, scheme
                return None
        return None


def _answer(
    authenticate: Authenticate, route: Route, request: LightRequest, parameters: dict[str, str]
) -> LightResponse:
    """What the view would answer. Raises NotLight."""
    return Context().run(_answer_consistently, authenticate, route, request, parameters)


def _answer_consistently(
    authenticate: Authenticate, route: Route, request: LightRequest, parameters: dict[str, str]
) -> LightResponse:
    """Like `erip.foundation.db.middleware.Consistency`, for callers that are not browsers."""
    brought = request.headers.get(HEADER)
    if brought is not None and not is_token(brought):
        raise NotLight
    with serving(brought, request.left) as scope:
        response = _answer_logged(authenticate, route, request, parameters)
        response.headers.update(answer_headers(scope))
    return response


def _answer_logged(
    authenticate: Authenticate, route: Route, request: LightRequest, parameters: dict[str, str]
) -> LightResponse:
    trusted = request.headers.get("X-Request-ID") if app_settings.TRUST_UPSTREAM_REQUEST_ID else None
    structlog.contextvars.bind_contextvars(request_id=trusted or str(uuid4()))
    if app_settings.TRUST_UPSTREAM_CORRELATION_ID and (correlation := request.headers.get("X-Correlation-ID")):
        structlog.contextvars.bind_contextvars(correlation_id=correlation)
    asked = f"{request.method} {request.path}"
    try:
        with ExitStack() as doors:
            for door in _doors():
                doors.enter_context(door(route, request, parameters))
            structlog.contextvars.bind_contextvars(user_id=_caller(authenticate, route, request).pk)
            return route.handle(request, **parameters)
    except NotLight:
        raise
    except Exception as error:
        problem = problem_of(error)
        if problem is None:
            log.exception("request_failed", code=500, request=asked)
            announce_failed_request(error, f"{request.method} {route.path.pattern}")
            problem = failure()
        elif problem.status >= 500:
            log.error("request_finished", code=problem.status, request=asked, error=error)
        return _refusal(problem)


@cache
def _doors() -> tuple[Callable[[Route, LightRequest, Mapping[str, str]], AbstractContextManager[None]], ...]:
    """What surrounds each request."""
    names = light_door.all()
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"the hook light_door takes the dotted name of a function, and got {name!r}")
    return tuple(import_string(name) for name in names)


def _caller(authenticate: Authenticate, route: Route, request: LightRequest) -> Caller:
    """Who calls. Raises AuthenticationFailed, PermissionDenied."""
    caller = request.known or authenticate(request.headers["Authorization"].encode("latin1"), request.client)
    if caller is None:
        raise NotLight
    request.user = caller
    for permission in route.instance.get_permissions():
        if not permission.has_permission(request, route.instance):  # type: ignore[arg-type]
            if getattr(permission, "ask_view", False):
                raise NotLight
            raise PermissionDenied(getattr(permission, "message", None), getattr(permission, "code", None))
    return caller


def _refusal(problem: Problem) -> LightResponse:
    return LightResponse(problem.status, problem.body(), dict(problem.headers), problem.media_type)


async def _unless(
    left: "asyncio.Future[Message]", request: LightRequest, answering: Awaitable[LightResponse]
) -> LightResponse | None:
    """The result of `answering`; None as soon as the caller has left. Raises what it raises.

    A request that no thread has started by then is never started, and one that waits for the database ends: its caller
    sends it again. Otherwise a service that is behind would spend its time on answers that nobody waits for.
    """
    answer = asyncio.ensure_future(answering)
    try:
        either: list[asyncio.Future[Any]] = [answer, left]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        request.left.set()
        return None
    finally:
        answer.cancel()


def _waiting(left: "asyncio.Future[Message]") -> Receive:
    """A `receive` that waits for the caller to leave. All callers of it share one wait: gunicorn takes a cancelled wait
    for the end of the connection, and answers 500 to the next one that waits."""

    async def receive() -> Message:
        return await asyncio.shield(left)

    return receive


async def _finish(response: LightResponse) -> LightResponse:
    """Wait for the better answer."""
    assert response.wait is not None
    if (finished := await response.wait.outcome(in_thread)) is not None:
        response.status, response.body = 200, finished
    return response


async def _read(receive: Receive) -> bytes | None:
    """The whole body, which `Door` keeps small; None if the client left before it was sent."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        return bytes(message.get("body", b""))
    body = bytearray()
    while message["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)
        message = await receive()
    return None


async def _send(send: Send, response: LightResponse, common: dict[str, str]) -> None:
    headers = {"Content-Type": response.media_type, **response.headers, **common}
    headers["Content-Length"] = str(len(response.body))
    start: Message = {
        "type": "http.response.start",
        "status": response.status,
        "headers": [(name.encode("ascii"), value.encode("latin1")) for name, value in headers.items()],
    }
    await send(start)
    await send({"type": "http.response.body", "body": response.body})
