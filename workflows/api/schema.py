"""How operations describe themselves to OpenAPI: `operation` marks a view's method with its scope and its
answers, and adds to every operation that changes something what all of these share.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from erip.access.permissions import Handler, requires
from erip.access.scopes import Scope
from erip.access.spaces import of_caller
from erip.foundation.db import walls
from erip.foundation.http.headers import idempotency_key, refuse_conditions, refuse_idempotency_key
from erip.foundation.http.problems import MEDIA_TYPE
from erip.foundation.http.reading import refuse_query

from .once import REPLAYED, Restore, once
from .responses import Problem
from .serializers import NAME, SIGNAL, STEP

_MEANINGS = {
    400: "A header, the query or the JSON syntax cannot be read.",
    401: "No API key, or one that is unknown, expired or revoked.",
    403: "The caller lacks a permission.",
    404: "There is no such thing.",
    409: "It is in a state that does not allow this.",
    410: "It was there, and is not kept any more.",
    413: "The body is too large.",
    415: "The body's media type is not one that is read here.",
    422: "The body is not what is asked for; `faults` names everything that is wrong with it.",
    429: (
        "More waits in this lane than can be served in time, the key has sent more than its rate, or too many wrong"
        " keys came from this address; `Retry-After` says when to send the same request again."
    ),
    503: "The database cannot be reached; the same request may be sent again.",
}

NAME_PARAMETER = OpenApiParameter(
    "name",
    {"type": "string", "pattern": f"^{NAME}$"},
    OpenApiParameter.PATH,
    description="The workflow's name.",
)
RUN_PARAMETER = OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The run's id.")
BATCH_PARAMETER = OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The batch's id.")
STEP_PARAMETER = OpenApiParameter(
    "step", {"type": "string", "pattern": f"^{STEP}$"}, OpenApiParameter.PATH, description="The step's id."
)
SIGNAL_PARAMETER = OpenApiParameter(
    "name", {"type": "string", "pattern": f"^{SIGNAL}$"}, OpenApiParameter.PATH, description="The signal's name."
)
SIGNAL_NAME_PARAMETER = OpenApiParameter(
    "signal", {"type": "string", "pattern": f"^{SIGNAL}$"}, OpenApiParameter.PATH, description="The signal's name."
)
SIGNAL_WAIT_PARAMETER = OpenApiParameter(
    "Prefer",
    {"type": "string"},
    OpenApiParameter.HEADER,
    description="`wait=N`: answer with the run, once it has ended or N (up to 60) seconds are over.",
    examples=[OpenApiExample("wait", value="wait=10")],
)
VERSION_PARAMETER = OpenApiParameter(
    "number", {"type": "integer", "minimum": 1, "maximum": 999_999_999}, OpenApiParameter.PATH
)
IDEMPOTENCY_PARAMETER = OpenApiParameter(
    "Idempotency-Key",
    {
        "type": "string",
        "minLength": 1,
        "maxLength": 257,
        "pattern": r'^(?:[\x21\x23-\x2B\x2D-\x3A\x3C-\x5B\x5D-\x7E]{1,255}|"[\x20\x21\x23-\x5B\x5D-\x7E]{1,255}")$',
    },
    OpenApiParameter.HEADER,
    description=(
        "The same request sent again under the same key does nothing new, and is answered as it was before. A string "
        "in double quotes (RFC 8941), or the same characters bare; 1 to 255 of them. Kept for a week."
    ),
)
PREFER_PARAMETER = OpenApiParameter(
    "Prefer",
    {"type": "string"},
    OpenApiParameter.HEADER,
    description="`wait=N`: answer 200 with the finished run if it ends within N (up to 60) seconds.",
    examples=[OpenApiExample("wait", value="wait=10")],
)


def response_header(name: str, description: str, *statuses: int) -> OpenApiParameter:
    """A header of the answers with these statuses."""
    return OpenApiParameter(
        name, OpenApiTypes.STR, OpenApiParameter.HEADER, description=description, response=list(statuses)
    )


def operation(
    *,
    scope: Scope | None,
    permissions: Sequence[str] = (),
    tag: str,
    id: str,
    summary: str,
    answers: Mapping[int, Any],
    media_type: str = "application/json",
    description: str = "",
    request: Any = None,
    problems: Sequence[int] = (),
    parameters: Sequence[Any] = (),
    examples: Sequence[OpenApiExample] = (),
    own_key: bool = False,
    no_key: str = "",
    restore: Restore | None = None,
    of: str = "",
    walled: bool = True,
) -> Callable[[Handler], Handler]:
    """Mark a view's method: who may call it, its input, and its answers (in `media_type`).

    permissions: what the caller needs, all of them; none: only those may call it who may do everything. scope: the
    smallest of an API key that has them; None: anybody may call it.

    The problems that every operation shares are added: 400, 401, 403, 429, 503, and for a body 413, 415 and 422.
    A POST or PATCH keeps idempotency keys (`once`), unless it does so itself (own_key) or does not at all (no_key: why,
    completing "Idempotency-Key …"). restore: see `once`. Conditional requests are refused.

    of: what it is about, for callers that have a role in some spaces only (Note [Spaces] in `erip.access.spaces`):
    `workflow:name` is the workflow that the parameter `name` of the address names, LISTS is for the view to find out.
    walled: whether what it reads for them is read behind the second wall, if it only reads (Note [Second wall] in
    `erip.foundation.db.walls`).
    """

    def mark(handler: Handler) -> Handler:
        changes = handler.__name__ in ("post", "put", "patch", "delete")
        repeatable = handler.__name__ in ("post", "patch") and not no_key
        every, codes = list(parameters), set(problems)
        if repeatable:
            every.append(IDEMPOTENCY_PARAMETER)
            codes |= {409, 422}
            if not own_key:
                replayed = "`true`: the request was done before, under this Idempotency-Key."
                every.append(response_header(REPLAYED, replayed, *answers))
        answered = handler
        if changes:
            answered = _changing(handler, own_key=own_key, no_key=no_key, restore=restore)
        elif of and walled:
            answered = reading(handler)
        if handler.__name__ == "get" and not _takes_query(every):
            answered = _without_query(answered)
        described: Handler = _described(
            scope=scope,
            permissions=permissions,
            tag=tag,
            id=id,
            summary=summary,
            answers=answers,
            media_type=media_type,
            description=description,
            request=request,
            problems=codes,
            parameters=every,
            examples=examples,
        )(answered)
        described.operation_id = id  # type: ignore[attr-defined]  # the audit log's name for it
        if of:
            described.about = of  # type: ignore[attr-defined]
        return requires(scope, *permissions)(described) if scope is not None else described

    return mark


def reading(handler: Handler) -> Handler:
    """A method that reads: behind the second wall, for callers of some spaces."""

    @wraps(handler)
    def answer(view: Any, request: Any, *arguments: Any, **named: Any) -> Any:
        return walls.read(of_caller(request), lambda: handler(view, request, *arguments, **named))

    return answer  # type: ignore[return-value]


def _takes_query(parameters: Sequence[Any]) -> bool:
    """Whether an operation has parameters in its query; then its view reads them, and refuses all others."""
    return any(
        getattr(one, "location", OpenApiParameter.QUERY) == OpenApiParameter.QUERY
        and not getattr(one, "response", None)
        for one in parameters
    )


def _without_query(handler: Handler) -> Handler:
    """A method that reads, and takes no parameters: one that is misspelt, or meant for another address, is not to look
    as if it counted."""

    @wraps(handler)
    def answer(view: Any, request: Any, *arguments: Any, **named: Any) -> Any:
        refuse_query(request)
        return handler(view, request, *arguments, **named)

    return answer  # type: ignore[return-value]


def _changing(handler: Handler, *, own_key: bool, no_key: str, restore: Restore | None) -> Handler:
    """A method that changes something, with what all of these have in common."""
    kept = handler.__name__ in ("post", "patch")

    @wraps(handler)
    def answer(view: Any, request: Any, *arguments: Any, **named: Any) -> Any:
        refuse_conditions(request)
        if kept and no_key:
            refuse_idempotency_key(request, no_key)
        elif kept and not own_key and (key := idempotency_key(request)) is not None:
            return once(request, key, lambda: handler(view, request, *arguments, **named), restore=restore)
        return handler(view, request, *arguments, **named)

    return answer  # type: ignore[return-value]


def _described(
    *,
    scope: Scope | None,
    permissions: Sequence[str],
    tag: str,
    id: str,
    summary: str,
    answers: Mapping[int, Any],
    media_type: str,
    description: str,
    request: Any,
    problems: Sequence[int] | set[int],
    parameters: Sequence[Any],
    examples: Sequence[OpenApiExample],
) -> Callable[[Handler], Handler]:
    statuses = {400, 503, *problems}
    if any(getattr(parameter, "location", None) == OpenApiParameter.PATH for parameter in parameters):
        statuses.add(404)
    if scope is not None:
        statuses |= {401, 403, 429}
        needed = " and ".join(f"`{permission}`" for permission in permissions)
        description = f"{description}\n\nNeeds {needed or 'every permission'}; scope `{scope}`.".strip()
    if request is not None:
        statuses |= {413, 415, 422}
    responses: dict[Any, Any] = {(status, media_type): answer for status, answer in answers.items()}
    for status in sorted(statuses):
        responses[(status, MEDIA_TYPE)] = OpenApiResponse(Problem, description=_MEANINGS[status])
    headers = [
        response_header("WWW-Authenticate", "How to authenticate.", 401) if scope is not None else None,
        response_header("Retry-After", "Seconds to rest.", *(statuses & {429, 503})),
    ]
    describe: Callable[[Handler], Handler] = extend_schema(
        operation_id=id,
        summary=summary,
        description=description,
        tags=[tag],
        request=request,
        responses=responses,
        parameters=[*parameters, *(header for header in headers if header)],
        examples=list(examples),
        auth=None if scope is not None else [],
    )
    return describe


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "erip.access.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, `erip_<prefix>_<secret>`, or a token of a configured issuer (JWT).",
        }


class StaffSessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "erip.access.authentication.StaffSessionAuthentication"
    name = "staffSession"
    priority = 1

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        description = "The session of a member of staff who is signed in to the admin, with the X-CSRFToken header."
        return {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": description}
