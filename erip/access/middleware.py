"""Middleware about how requests run and what browsers may do with the answers."""

import traceback
from collections.abc import Callable
from math import ceil

import structlog
from django.core.exceptions import FieldDoesNotExist, FieldError, ValidationError
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views import defaults

from erip.foundation.db.failures import sqlstate
from erip.foundation.hooks import pages

from . import logins
from .backends import SIGNED_IN, TOO_SOON

log = structlog.get_logger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class OneThread:
    """Belongs last in MIDDLEWARE: being synchronous only, it has Django run every middleware before it that
    can be synchronous in the request's one thread. Without it each hook of each middleware is a hop into that thread
    and back.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)


class AdminContentPolicy:
    """Lets the admin's own script library (Alpine.js, which evaluates attributes) work, only there, and allows the
    pages of the apps what they ask for (`hooks.pages`)."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if sources := self._script_sources(request.path):
            response._csp_update = {"script-src": sources}  # type: ignore[attr-defined]
        return response

    @staticmethod
    def _script_sources(path: str) -> list[str]:
        if path.startswith("/admin/"):
            return ["'unsafe-eval'"]
        return [
            source
            for shown in pages.all()
            if shown.script_sources and path.startswith(f"/{shown.prefix}")
            for source in shown.script_sources
        ]


class Logins:
    """Answers an attempt to sign in that came too soon with 429, and makes the browser of a successful one
    recognisable."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        seconds: float | None = getattr(request, TOO_SOON, None)
        if seconds is not None:
            response.status_code = 429
            response.headers["Retry-After"] = str(max(1, ceil(seconds)))
        user = getattr(request, SIGNED_IN, None)
        if user is not None and request.user == user:
            logins.remember_device(request, response, user.get_username(), user.password)
        return response


class AdminAddresses:
    """A malformed URL of the admin is the reader's mistake (400), not ours (500): a year 0 in a filter, a number too
    large for any column, a character that PostgreSQL cannot store. Django notices many of these only in the query. A
    request that only reads changes nothing, so this answer loses nothing; the log says where it happened.
    """

    sync_capable = True
    async_capable = False

    #: errors of Python, Django and PostgreSQL about an impossible value
    UNREADABLE = (ValueError, TypeError, OverflowError, DataError, FieldDoesNotExist, FieldError, ValidationError)

    #: PostgreSQL's error: these types cannot be compared
    UNFIT = frozenset({"42883", "42804"})

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        reads = request.method in ("GET", "HEAD", "OPTIONS") and request.path.startswith("/admin/")
        unfit = isinstance(exception, self.UNREADABLE) or sqlstate(exception) in self.UNFIT
        if not reads or not unfit:
            return None
        frames = traceback.extract_tb(exception.__traceback__)
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        log.warning("admin_address_refused", path=request.path[:200], error=type(exception).__name__, where=where)
        return defaults.bad_request(request, exception)
