"""The addresses of SCIM: who may call them, and answers in SCIM's own form, errors too (RFC 7644, section 3.12)."""

import json
from collections.abc import Mapping
from typing import IO, Any, cast

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView
from scim2_models import InvalidSyntaxException, SCIMException
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse

from erip.foundation.http.headers import need_no_coding
from erip.foundation.http.parsers import read_limited
from erip.foundation.http.problems import problem_of, respond
from erip.foundation.http.reading import principal_of

from ..flags import asking
from ..permissions import requires
from ..scopes import Scope
from .service import HANDLER, SERVICE

#: where SCIM is
PREFIX = "/scim/v2"
PERMISSION = "access.provision"


def _operation(name: str) -> Any:
    """A method of a view that is served as what its address and method say. name: what the audit log calls it."""

    @requires(Scope.ADMIN, PERMISSION)
    def handle(view: APIView, request: Request, **_: Any) -> HttpResponse:
        asking.need("scim", principal_of(request))
        return _answer(HANDLER.handle(_asked(request)))

    handle.operation_id = name  # type: ignore[attr-defined]
    return handle


class _Scim(APIView):
    #: it is described by SCIM's own documents, and not by the OpenAPI document
    schema = None

    def get_exception_handler(self) -> Any:
        return _failed


class Discovery(_Scim):
    """What there is: ServiceProviderConfig, ResourceTypes, Schemas."""

    get = _operation("scimDiscover")


class Root(_Scim):
    """People and groups together, which is not supported: 501 says so."""

    get = _operation("scimList")


class Collection(_Scim):
    """Users, Groups."""

    get = _operation("scimList")
    post = _operation("scimCreate")


class Search(_Scim):
    """A search whose filter is in the body."""

    post = _operation("scimSearch")


class One(_Scim):
    """A person, a group."""

    get = _operation("scimRead")
    put = _operation("scimReplace")
    patch = _operation("scimPatch")
    delete = _operation("scimDelete")


def _asked(request: Request) -> ScimRequest:
    """Raises InvalidSyntaxException, UnsupportedMedia, PayloadTooLarge."""
    plain = request._request
    doubled = [name[:50] for name in plain.GET if len(plain.GET.getlist(name)) > 1]
    if doubled:
        raise InvalidSyntaxException(detail=f"The query has more than one {', '.join(doubled)}.")
    need_no_coding(request)
    return ScimRequest(
        method=plain.method or "GET",
        base_url=plain.build_absolute_uri(PREFIX),
        path=plain.path.removeprefix(PREFIX),
        query=plain.GET.dict(),
        headers=dict(plain.headers),
        body=read_limited(cast(IO[bytes], plain), {"request": plain}),
        subject=request.user,
    )


def _answer(made: ScimResponse) -> HttpResponse:
    # A number that was sent, such as startIndex, may be larger than orjson writes.
    body = "" if made.body is None else json.dumps(made.body, ensure_ascii=False)
    return HttpResponse(body, status=int(made.status), headers=made.headers)


def _failed(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """REST framework's hook. None only for an unforeseen error, which is answered with 500."""
    if isinstance(error, SCIMException):
        return _answer(SERVICE.error_response(error))
    problem = problem_of(error)
    return None if problem is None else respond(problem, f"{PREFIX}/")
