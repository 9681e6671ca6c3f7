"""Middleware about how requests run and what browsers may do with the answers."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class OneThread:
    """Belongs last in MIDDLEWARE: being synchronous only, it has Django run every middleware before it that
    can be synchronous in the request's one thread. Without it each hook of each of them is a hop into that
    thread and back.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)


class AdminContentPolicy:
    """Lets the admin's own script library (Alpine.js, which evaluates attributes) work. Only there."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.path.startswith("/admin/"):
            response._csp_update = {"script-src": ["'unsafe-eval'"]}  # type: ignore[attr-defined]
        return response
