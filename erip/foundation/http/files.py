"""The files that the installed apps ship, for browsers."""

from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFiles(WhiteNoiseMiddleware):
    """WhiteNoise, whose answers share what they hold.

    Under ASGI, Django reads a file into memory for every answer, and holds it until the client has taken all of it:
    1.4 MB for each of those that fetch the largest script and take no byte of it. Here each file is in memory once. A
    part of a file (`Range`) is answered with the whole one, which a server may do (RFC 9110 section 14.2).
    """

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        asked = {name: value for name, value in request.META.items() if name != "HTTP_RANGE"}
        found = static_file.get_response(request.method, asked)
        content = b""
        if found.file is not None:
            with found.file:
                content = _content(found.file.name, dict(found.headers).get("Last-Modified", ""))
        answer = HttpResponse(content, status=int(found.status))
        del answer["Content-Type"]
        for name, value in found.headers:
            answer[name] = value
        return answer


@lru_cache(maxsize=256)
def _content(path: str, _last_modified: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
