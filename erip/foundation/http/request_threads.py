"""The threads in which Django answers requests.

Note [Request threads]
Django gives each request a thread of its own, and asgiref starts another one to join it. `Thread.start` blocks the
event loop until the new thread has run for the first time: on a busy machine that takes tens of milliseconds for each
of them. After a failover of the database, when all clients came again at once, a third of py-spy's samples of the event
loop stood there (2 cores, a load of 15 to 20). So threads are kept, and each is lent to one request at a time. A thread
comes back when all its work is done, which may be after its request: a client that leaves does not end the work of its
thread.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django import setup
from django.core.handlers.asgi import ASGIHandler
from django.db import connections

from erip.foundation.http.timing import found_route

#: threads that are kept while they are idle
KEPT = 40

#: last in, first out: the rest get no processor time
_free: deque[ThreadPoolExecutor] = deque()


class _Loan:
    """A thread lent to a request. It is given back once, however often that is requested."""

    def __init__(self) -> None:
        self.thread = _lend()
        self._lent = True

    def end(self) -> None:
        if self._lent:
            self._lent = False
            # Queued behind the work it still has to do.
            self.thread.submit(_release_connections).add_done_callback(lambda _: _take_back(self.thread))


_loan: ContextVar[_Loan | None] = ContextVar("erip_request_thread", default=None)


class Handler(ASGIHandler):
    """Django's handler, changed as Note [Request threads] says."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        loan = _Loan()
        _loan.set(loan)
        try:
            async with ThreadSensitiveContext(executor=loan.thread):
                await self.handle(scope, receive, send)
        finally:
            loan.end()

    def resolve_request(self, request: Any) -> Any:
        found = super().resolve_request(request)
        found_route(request.scope, request.method, found.route)
        return found


def give_back() -> None:
    """The current request goes on for long without its thread: a stream. Any further work that it does in a thread gets
    another one."""
    context = SyncToAsync.thread_sensitive_context.get(None)
    loan = _loan.get()
    if context is not None and loan is not None:
        SyncToAsync.context_to_thread_executor.pop(context, None)
        loan.end()


def application() -> Handler:
    """As `django.core.asgi.get_asgi_application`."""
    setup(set_prefix=False)
    return Handler()


def _lend() -> ThreadPoolExecutor:
    try:
        return _free.pop()
    except IndexError:
        return ThreadPoolExecutor(1, thread_name_prefix="request")


def _take_back(thread: ThreadPoolExecutor) -> None:
    if len(_free) < KEPT:
        _free.append(thread)
    else:
        thread.shutdown(wait=False)


def _release_connections() -> None:
    """A request that was cut off may have kept one."""
    for connection in connections.all(initialized_only=True):
        connection.close()
