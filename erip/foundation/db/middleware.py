"""A request and the database: how long it may wait for a failover, and what its caller has seen already.

Tokens come as the header ERIP-Consistency-Token or, of browsers, as a cookie, and go back the same way after a write.
"""

import json
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from erip.foundation.db import consistency
from erip.foundation.db.requests import HEADER, answer_headers, serving

COOKIE = "erip_consistency"
#: seconds for which a browser that must read from the primary does so
PRIMARY_FOR = 120


class Consistency:
    """Belongs before whatever asks the database."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        brought = request.headers.get(HEADER)
        if brought is not None and not consistency.is_token(brought):
            return _refused()
        browser = settings.SESSION_COOKIE_NAME in request.COOKIES
        if brought is None and browser:
            kept = request.COOKIES.get(COOKIE, consistency.NOTHING)
            brought = kept if consistency.is_token(kept) else consistency.PRIMARY
        with serving(brought) as scope:
            response = self.get_response(request)
            headers = answer_headers(scope)
        for name, value in headers.items():
            response.headers[name] = value
        token = headers.get(HEADER)
        if token is not None and (browser or settings.SESSION_COOKIE_NAME in response.cookies):
            response.set_cookie(
                COOKIE,
                token,
                max_age=PRIMARY_FOR if token == consistency.PRIMARY else None,
                httponly=True,
                secure=settings.SESSION_COOKIE_SECURE,
                samesite="Lax",
            )
        return response


def _refused() -> HttpResponse:
    problem = {
        "type": "urn:erip:problem:bad-request",
        "title": "Bad Request",
        "status": 400,
        "detail": "The request cannot be read.",
        "code": "bad-request",
        "faults": [{"path": HEADER, "message": f'must be a token as it was answered, or "{consistency.NOTHING}"'}],
    }
    return HttpResponse(json.dumps(problem), status=400, content_type="application/problem+json")
