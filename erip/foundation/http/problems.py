"""Every error of the API as a problem document (RFC 9457): {type, title, status, detail, code, faults:
[{path, message}]}.

The tree of EripError is mapped here, once. `faults` names everything that is wrong, each with
its path in the document that was sent; it is absent where the error is not about a document.
"""

import erip.foundation.http.rest_alone  # noqa: F401  (first: it says why)

# isort: split
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar

import orjson
from django.core.exceptions import PermissionDenied
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

from erip.foundation.db.failures import is_transient, is_unfit, said
from erip.foundation.errors import EripError
from erip.foundation.faults import Fault, bounded, first, join

MEDIA_TYPE = "application/problem+json"
#: where programs call: the API, and SCIM, whose errors have a form of their own
API, SCIM = "/api/v1/", "/scim/"
_SCIM_MEDIA_TYPE = "application/scim+json"
_SCIM_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


class PayloadTooLarge(exceptions.APIException):
    """The body is larger than the API reads."""

    status_code = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    default_code = "payload_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body may have {limit} bytes at most.")


class BadRequest(exceptions.APIException):
    """Headers, query or JSON syntax that cannot be read, with every fault."""

    status_code = HTTPStatus.BAD_REQUEST
    default_code = "bad_request"

    def __init__(self, faults: list[Fault], detail: str = "The request cannot be read.") -> None:
        super().__init__(detail)
        self.faults = faults


class Unprocessable(exceptions.APIException):
    """A body that is JSON, but not what the operation takes, with every fault."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "invalid_body"

    def __init__(self, faults: list[Fault], detail: str = "The body is not what this operation takes.") -> None:
        super().__init__(detail)
        self.faults = faults


class UnsupportedMedia(exceptions.APIException):
    """A body in a content coding that is not read here, with every fault."""

    status_code = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    default_code = "unsupported_media_type"

    def __init__(self, faults: list[Fault], detail: str = "The body is not in a form that is read here.") -> None:
        super().__init__(detail)
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Problem:
    """An RFC 9457 problem.

    code: a slug that programs compare; `type` is `urn:erip:problem:<code>`
    members: what this kind of problem says besides (section 3.2)
    """

    status: int
    code: str
    detail: str
    faults: list[Fault] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)
    media_type: ClassVar[str] = MEDIA_TYPE

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "type": f"urn:erip:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.members,
        }
        if self.faults:
            document["faults"] = [
                {"path": bounded(fault.path), "message": fault.message} for fault in first(self.faults)
            ]
        return document

    def body(self) -> bytes:
        return orjson.dumps(self.document())

    def written_at(self, path: str) -> tuple[bytes, str]:
        """The body and its media type, in the form that is spoken at this address (SCIM: RFC 7644, section 3.12)."""
        if not path.startswith(SCIM):
            return self.body(), self.media_type
        said = "; ".join([self.detail, *(f"{bounded(one.path)} {one.message}".strip() for one in first(self.faults))])
        document = {"schemas": [_SCIM_ERROR], "status": str(self.status_at(path)), "detail": said}
        return orjson.dumps(document), _SCIM_MEDIA_TYPE

    def status_at(self, path: str) -> int:
        """The status at this address: SCIM knows no 422."""
        return 400 if self.status == 422 and path.startswith(SCIM) else self.status


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """REST framework's hook. None only for an unforeseen error, which is raised again and answered as 500."""
    problem = problem_of(error)
    if problem is None:
        return None
    response = Response(problem.document(), status=problem.status, content_type=MEDIA_TYPE)
    for name, value in problem.headers.items():
        response[name] = value
    return response


def problem_of(error: Exception) -> Problem | None:
    """The problem that an error is answered with; None if the API does not foresee it."""
    if isinstance(error, EripError):
        retry_after = getattr(error, "retry_after", None)
        headers = {"Retry-After": f"{max(1, round(retry_after))}"} if retry_after is not None else {}
        return Problem(error.status, _slug(error.code), error.message, error.faults, headers, error.members)
    if isinstance(error, Http404):
        return Problem(404, "not-found", "There is nothing at this address.")
    if isinstance(error, PermissionDenied):
        return Problem(403, "permission-denied", "This is not allowed.")
    if isinstance(error, exceptions.ValidationError):
        return Problem(422, "invalid-body", "The body is not what this operation takes.", list(faults_of(error.detail)))
    if isinstance(error, exceptions.APIException):
        return _of_api_exception(error)
    if isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DatabaseError) and is_transient(error)
    ):
        # The database is away or failing over; what was accepted is safe, and the same request may be sent
        # again.
        return Problem(
            503,
            "database-unavailable",
            "The database cannot be reached; try again.",
            [],
            {"Retry-After": f"{math.ceil(getattr(error, 'retry_after', 2))}"},
        )
    if is_unfit(error):
        # The code that read the request should have refused it; a 500 does not help the caller.
        return Problem(422, "cannot-be-kept", f"The request cannot be kept: {said(error)}.")
    return None


def faults_of(detail: Any, path: str = "") -> Iterator[Fault]:
    """REST framework's nested error details as faults with paths."""
    if isinstance(detail, Mapping):
        for key, inner in detail.items():
            yield from faults_of(inner, path if key == "non_field_errors" else join(path, key))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            yield from faults_of(inner, join(path, index) if nested else path)
    else:
        yield Fault(path, str(detail))


def respond(problem: Problem, path: str = API) -> HttpResponse:
    """A problem outside of REST framework's views. path: of the request."""
    body, media_type = problem.written_at(path)
    headers = dict(problem.headers)
    return HttpResponse(body, status=problem.status_at(path), content_type=media_type, headers=headers)


def page_not_found(request: HttpRequest) -> HttpResponse:
    return respond(Problem(404, "not-found", f"There is nothing at {request.path}."), request.path)


def failure() -> Problem:
    """The answer to an unforeseen error."""
    return Problem(500, "internal-error", "ERIP failed to answer; the failure was logged.")


def server_error(request: HttpRequest) -> HttpResponse:
    return respond(failure(), request.path)


def bad_request(request: HttpRequest) -> HttpResponse:
    return respond(Problem(400, "bad-request", "The request cannot be read."), request.path)


def _of_api_exception(error: exceptions.APIException) -> Problem:
    headers: dict[str, str] = {}
    if authenticate := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = authenticate
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait))
    codes = error.get_codes()
    code = codes if isinstance(codes, str) else error.default_code
    return Problem(error.status_code, _slug(code), str(error.detail), list(getattr(error, "faults", [])), headers)


def _slug(code: str) -> str:
    return code.replace("_", "-")
