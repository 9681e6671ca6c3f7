"""Answers SCIM's requests in SCIM's own form, errors too (RFC 7644, section 3.12)."""

import json
from typing import IO, cast

from django.http import HttpResponse
from rest_framework.request import Request
from scim2_models import InvalidSyntaxException, SCIMException
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse

from erip.foundation.http.headers import need_no_coding
from erip.foundation.http.parsers import read_limited

from .service import HANDLER, SERVICE


def answer(request: Request, prefix: str) -> HttpResponse:
    """Do what is asked. Raises UnsupportedMedia, PayloadTooLarge.

    prefix: of the address, before that of the resource.
    """
    try:
        return _sent(HANDLER.handle(_asked(request, prefix)))
    except SCIMException as error:
        return _sent(SERVICE.error_response(error))


def _asked(request: Request, prefix: str) -> ScimRequest:
    """Raises InvalidSyntaxException, UnsupportedMedia, PayloadTooLarge."""
    plain = request._request
    doubled = [name[:50] for name in plain.GET if len(plain.GET.getlist(name)) > 1]
    if doubled:
        raise InvalidSyntaxException(detail=f"The query has more than one {', '.join(doubled)}.")
    need_no_coding(request)
    return ScimRequest(
        method=plain.method or "GET",
        base_url=plain.build_absolute_uri(prefix),
        path=plain.path.removeprefix(prefix),
        query=plain.GET.dict(),
        headers=dict(plain.headers),
        body=read_limited(cast(IO[bytes], plain), {"request": plain}),
        subject=request.user,
    )


def _sent(made: ScimResponse) -> HttpResponse:
    # A number that was sent, such as startIndex, may be larger than orjson writes.
    body = "" if made.body is None else json.dumps(made.body, ensure_ascii=False)
    return HttpResponse(body, status=int(made.status), headers=made.headers)
