"""The front door: how much of a request's body is read, for which callers, and for how long.

Note [Nothing of a stranger's body]
A request without a valid key or session is answered without reading its body, and the connection is closed after the
answer. The API and SCIM answer 401 at once; elsewhere the application answers as if there were no body. So a stranger's
body costs neither memory nor time, however it arrives. The exceptions (`FORMS`) are what nobody could send otherwise:
the admin's forms, including the login, what chats sign, and votes by a link. Small bodies, a bounded number at once
(`Crowd`).

The body of a known caller is read here, whole, before the request takes a thread, a database connection or anything
else: within the limit of its path (413), no slower than a pace and no more than a few large ones at once (408), and
within the memory that a process has for all bodies (503). Django would spool a body to disk at whatever pace it
arrives, and REST framework would take a chunked body for an empty one; both get it here in one piece, with its length.
"""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, Protocol

import structlog
from django.conf import settings

from erip.foundation.db.connections import release_connections
from erip.foundation.db.requests import serving
from erip.foundation.hooks import announce_failed_request, refused_at_door
from erip.foundation.http.addresses import address_group, client_address
from erip.foundation.http.bodies import (
    BodyRefused,
    BodyTooLarge,
    BodyTooSlow,
    ClientLeft,
    Memory,
    NoMemory,
    Pace,
    read_body,
)
from erip.foundation.http.crowd import Crowd
from erip.foundation.http.light import middleware
from erip.foundation.http.light.messages import LightHeaders
from erip.foundation.http.limits import PRINCIPAL, App, Message, Receive, Scope, Send, body_limit, replay
from erip.foundation.http.problems import API, SCIM, Problem, failure, problem_of

log = structlog.get_logger(__name__)

#: paths where a stranger is refused at once
FOR_PROGRAMS = (API, SCIM)
#: paths where the body of an unknown caller is read
FORMS = ("/admin/", "/chat/", "/console/approvals/by-link")
#: bytes of such a body
FORM_LIMIT = 64 * 1024
#: large bodies that one caller may send at once; beyond that the oldest is dropped. A balancer has few places for them.
LARGE_OF_ONE = 32
#: threads that look up keys and sessions unknown to this process
LOOKERS = 2
#: lookups that may wait for a thread
MOST_LOOKUPS = 500
#: seconds for which a caller counts as just looked up
_JUST = 1.0


class Caller(Protocol):
    """Somebody who is known.

    name: what it uses is counted under this name
    principal: the one the views use; None if they have to look it up
    """

    @property
    def name(self) -> str: ...

    @property
    def principal(self) -> Any: ...


class Callers(Protocol):
    """Finds out who calls: `erip.access.callers`. It alone decides what the credentials are."""

    def credentials_of(self, headers: Iterable[tuple[bytes, bytes]], address: str, /) -> Any:
        """None for a request that brings none. address: the client's own."""

    def known_at_once(self, credentials: Any, /) -> Caller | None:
        """The caller, if it is known without waiting."""

    def stranger(self, headers: Iterable[tuple[bytes, bytes]], /) -> Exception:
        """The error with which a stranger is refused; `problem_of` knows it."""

    def look_up(self, credentials: Any, /) -> Caller | None:
        """The caller; None for a stranger. In a thread. Raises django.db.Error."""


class TooManyLookups(Exception):
    """More callers that this process does not know come in than can be looked up."""


class Door:
    """ASGI middleware. See Note [Nothing of a stranger's body]."""

    def __init__(self, app: App, callers: Callers) -> None:
        self.app = app
        self.callers = callers
        self._lookups = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # There is no client to answer.
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        elif scope["type"] != "http" or (length := _length(scope["headers"])) == 0:
            await self.app(scope, receive, send)
        else:
            await self._with_body(length, scope, receive, send)

    async def _with_body(self, length: int | None, scope: Scope, receive: Receive, send: Send) -> None:
        """`length`: what was declared; None for a chunked body."""
        began = asyncio.get_running_loop().time()
        try:
            caller = await self._caller(scope["headers"], client_address(scope))
        except Exception as error:
            problem = _why_nobody_is_known(error)
            if problem.status in (401, 403):
                _announce(scope, problem.status, getattr(error, "who", ""))
            return await _refuse(scope, send, problem)
        form = caller is None and scope["path"].startswith(FORMS)
        if caller is None and scope["path"].startswith(FOR_PROGRAMS):
            stranger = problem_of(self.callers.stranger(scope["headers"]))
            assert stranger is not None
            _announce(scope, stranger.status, "")
            return await _refuse(scope, send, stranger)
        if caller is None and not form:
            return await self.app(_with_length(scope, 0), _nothing(), _closing(send))
        limit = FORM_LIMIT if form else body_limit(scope["path"])
        holder = caller.name if caller else address_group(client_address(scope))
        with self._memory.share(holder) as share:
            try:
                if length is not None:
                    if length > limit:
                        raise BodyTooLarge
                    share.need(length)
                large = length is None or length > Memory.SMALL
                crowd = self._forms if form else self._large if large else None
                body = await read_body(receive, limit=limit, pace=self._pace, share=share, crowd=crowd, group=holder)
                if _compressed(scope["headers"]):
                    # Its decompressed content is held as well.
                    share.take(limit)
            except BodyRefused as error:
                return await _refuse(scope, send, _why_refused(error, limit))
            sized = dict(scope) if length is not None else _with_length(scope, len(body))
            if caller and caller.principal and asyncio.get_running_loop().time() - began < _JUST:
                sized[PRINCIPAL] = caller.principal
            receive = replay(body, receive)
            del body
            return await self.app(sized, receive, send)

    async def _caller(self, headers: Iterable[tuple[bytes, bytes]], address: str) -> Caller | None:
        """Raises TooManyLookups, the error with which a caller is refused, and the database's errors."""
        credentials = self.callers.credentials_of(headers, address)
        if credentials is None:
            return None
        caller = self.callers.known_at_once(credentials)
        if caller is not None:
            return caller
        if self._lookups >= MOST_LOOKUPS:
            raise TooManyLookups
        self._lookups += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._lookers, self._look_up, credentials)
        finally:
            self._lookups -= 1

    def _look_up(self, credentials: Any) -> Caller | None:
        try:
            with serving(None):
                return self.callers.look_up(credentials)
        finally:
            release_connections()

    # Made at the first request: settings may change before it, and gunicorn forks.

    @cached_property
    def _lookers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(LOOKERS, thread_name_prefix="door")

    @cached_property
    def _memory(self) -> Memory:
        return Memory(settings.ERIP_BODY_MEMORY)

    @cached_property
    def _pace(self) -> Pace:
        return Pace(settings.ERIP_BODY_GRACE_SECONDS, settings.ERIP_BODY_MIN_RATE, settings.ERIP_BODY_SECONDS)

    @cached_property
    def _forms(self) -> Crowd:
        return Crowd(settings.ERIP_ANONYMOUS_FORMS, max(1, settings.ERIP_ANONYMOUS_FORMS // 5))

    @cached_property
    def _large(self) -> Crowd:
        return Crowd(settings.ERIP_CONNECTIONS, LARGE_OF_ONE)


def _announce(scope: Scope, status: int, who: str) -> None:
    """A request was refused before it was read. who: the caller's principal; "": a stranger."""
    for note in refused_at_door.all():
        note(scope.get("method", ""), scope["path"], client_address(scope), status, who)


def _length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """The bytes of the body that were declared, 0 for no body, None for a chunked one."""
    length = 0
    for name, value in headers:
        if name == b"content-length":
            # The server has already refused a length that is no number.
            length = int(value) if value.isdigit() else 0
        elif name == b"transfer-encoding":
            return None
    return length


def _compressed(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(
        name == b"content-encoding" and value.strip().lower() not in (b"", b"identity") for name, value in headers
    )


def _with_length(scope: Scope, length: int) -> Scope:
    framing = (b"transfer-encoding", b"content-length")
    headers = [*((name, value) for name, value in scope["headers"] if name not in framing)]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}


def _closing(send: Send) -> Send:
    """A `send` whose answer closes the connection: the rest of the body is not read."""

    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return closing


def _nothing() -> Receive:
    """An empty body. Asking the connection would make the server read on, or answer `Expect`."""
    given = False

    async def receive() -> Message:
        nonlocal given
        if given:
            await asyncio.get_running_loop().create_future()
        given = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive


def _busy() -> Problem:
    return Problem(503, "too-busy", "Too much comes in at once; try again.", [], {"Retry-After": "1"})


def _why_refused(error: BodyRefused, limit: int) -> Problem:
    if isinstance(error, BodyTooLarge):
        return Problem(413, "payload-too-large", f"The body may have {limit} bytes at most.")
    if isinstance(error, BodyTooSlow | ClientLeft):
        # A client that left gets no answer; the server drops it. One that is still there, and only silent for longer
        # than the server waits, would get 500 from the server if nothing was answered here.
        return Problem(408, "body-too-slow", "The body came in too slowly; send it again.")
    assert isinstance(error, NoMemory)
    return _busy()


def _why_nobody_is_known(error: Exception) -> Problem:
    if isinstance(error, TooManyLookups):
        return _busy()
    problem = problem_of(error)
    if problem is None:
        log.error("caller_not_looked_up", exc_info=error)
        announce_failed_request(error, "(whoever calls is looked up)")
    return problem or failure()


async def _refuse(scope: Scope, send: Send, problem: Problem) -> None:
    body, media_type = problem.written_at(scope["path"])
    common = middleware.headers_of(middleware.scheme_of(LightHeaders(scope["headers"]), scope.get("scheme") or "http"))
    named = {**common, **problem.headers}
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        # The rest of the body is not read.
        (b"connection", b"close"),
        *((name.lower().encode(), value.encode("latin-1")) for name, value in named.items()),
    ]
    status = problem.status_at(scope["path"])
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
