"""The addresses of SCIM: who may call them, and how whoever may not is answered (RFC 7644, section 3.12).

Whoever may is answered by `answering`, which is loaded at the first such request of a process: it takes 8 MB of each,
and most platforms have no identity provider that calls.
"""

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from erip.foundation.http.problems import problem_of, respond
from erip.foundation.http.reading import principal_of

from ..flags import asking
from ..permissions import requires
from ..scopes import Scope

#: where SCIM is
PREFIX = "/scim/v2"
PERMISSION = "access.provision"


def _operation(name: str) -> Any:
    """A method of a view that is served as what its address and method say. name: what the audit log calls it."""

    @requires(Scope.ADMIN, PERMISSION)
    def handle(view: APIView, request: Request, **_: Any) -> HttpResponse:
        asking.need("scim", principal_of(request))
        from .answering import answer

        return answer(request, PREFIX)

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


def _failed(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """REST framework's hook. None only for an unforeseen error, which is answered with 500."""
    problem = problem_of(error)
    return None if problem is None else respond(problem, f"{PREFIX}/")
