"""The door of everything that Django answers: the API's views, the admin, the console, other pages."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from cachetools import TTLCache
from django.contrib.auth.models import AbstractBaseUser
from django.db import Error
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils.functional import SimpleLazyObject

from erip.audit import refusals
from erip.audit.exempt import BY_THEMSELVES, CHANGING_READS, PAGES, READING
from erip.audit.operation import Operation, doing
from erip.foundation.db.failures import is_passing
from erip.foundation.http.addresses import client_address
from erip.foundation.http.problems import API, SCIM

log = structlog.get_logger(__name__)

_SCIM = f"{SCIM}v2/"
#: what was read under emergency access, for a minute
_read_lately: TTLCache[tuple[int, str, str, str], bool] = TTLCache(1_000, 60.0)
_reading_lock = threading.Lock()
_SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
#: an operation that was done before, under the same Idempotency-Key: `workflows.api.once`
_REPLAYED = "Idempotent-Replayed"


class Audited:
    """Belongs after what finds out who is signed in. See Note [Audited operations] in `operation`."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method in _SAFE and not request.path.startswith(CHANGING_READS):
            response = self.get_response(request)
            if response.status_code in (401, 403):
                refusals.note(operation_of(request), response.status_code)
            elif number := _emergency(request):
                _note_reading(request, number)
            return response
        operation = operation_of(request)
        request.audited = operation  # type: ignore[attr-defined]
        with doing(operation):
            response = self.get_response(request)
            _conclude(operation, response)
        return response


def _emergency(request: HttpRequest) -> int:
    """The emergency access of who asks, as far as it was looked up; 0: none. Asks no database."""
    user = request.__dict__.get("user")
    if isinstance(user, SimpleLazyObject):
        user = request.__dict__.get("_cached_user")
    held = getattr(user, "_erip_held", user)
    return int(getattr(held, "emergency", 0) or 0)


def _note_reading(request: HttpRequest, number: int) -> None:
    """Who reads under emergency access leaves an entry, of the same page once a minute."""
    operation = operation_of(request)
    operation.detail["break_glass"] = number
    kind = (number, operation.principal(), operation.action, operation.object)
    with _reading_lock:
        known = kind in _read_lately
        _read_lately[kind] = True
    if known:
        return
    try:
        operation.write_alone()
    except Error as error:
        if not is_passing(error):
            raise
        # What is read while the database is away was known before; nobody is kept from it in an emergency.
        log.warning("emergency_reading_not_recorded", error=error, break_glass=number, action=operation.action)
        with _reading_lock:
            _read_lately.pop(kind, None)


def operation_of(request: HttpRequest) -> Operation:
    """What the request asks for."""
    action, door, values = _action_of(request)
    api = door in ("api", "scim")
    # These read the body as it came, which Django gives only to those who did not have it read as a form before.
    raw = api or door == "chat"
    # Who signs out is nobody any more afterwards.
    before = "" if api else principal_of(request)
    return Operation(
        door=door,
        action=action,
        principal=lambda: principal_of(request) or before,
        object=object_of(request.path.removeprefix(API).removeprefix(_SCIM), values)
        if api
        else _object_of_page(action, values),
        address=client_address(request),
        request=request_id(),
        reason="" if raw else str(request.POST.get("reason") or request.POST.get("note") or ""),
        writes_itself=action in BY_THEMSELVES,
    )


def principal_of(request: Any) -> str:
    """`key:…` or `user:…`, as everywhere; "" for a stranger, and while the database that knows the session is away:
    then nothing can be changed either. `proved`: the principal of a key that is right, and not allowed there."""
    if proved := getattr(request, "proved", ""):
        return str(proved)
    user = getattr(request, "user", None)
    try:
        if user is None or not user.is_authenticated:
            return ""
    except Error as error:
        if not is_passing(error):
            raise
        return ""
    return f"user:{user.get_username()}" if isinstance(user, AbstractBaseUser) else str(user)


def object_of(path: str, values: Iterable[Any]) -> str:
    """The part of the path up to the last of the values in it: `runs/<id>` of `runs/<id>/cancel`."""
    ends = [path.rfind(str(value)) + len(str(value)) for value in values if str(value) in path]
    return path[: max(ends)] if ends else ""


def request_id() -> str:
    """The id that the logs show, too."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))[:200]


def action_of_view(view: Any, method: str) -> str:
    """The operation's id in the OpenAPI document."""
    return str(getattr(getattr(view, method.lower(), None), "operation_id", ""))


def _action_of(request: HttpRequest) -> tuple[str, str, list[Any]]:
    """(action, door, the values in the path)."""
    method = request.method or ""
    try:
        found = resolve(request.path_info)
    except Resolver404:
        return f"{method} {request.path[:200]}", _of_program(request.path) or "page", []
    values = [*found.args, *found.kwargs.values()]
    view = getattr(found.func, "view_class", None)
    if view is not None and (of_program := _of_program(request.path)):
        return action_of_view(view, method) or f"{method} {found.route}", of_program, values
    door = found.namespaces[0] if found.namespaces else "page"
    action = found.view_name
    if action == "admin:login":
        action = "sign-in"
    elif action == "admin:second_factor":
        action = "sign-in: second factor"
    elif action in ("admin:sign_in_returned", "admin:sign_in_answered"):
        action = "sign-in: provider"
    elif action == "admin:sign_in_ended":
        action = "sign-out: provider"
    elif action == "admin:logout":
        action = "sign-out"
    elif door == "admin" and method == "POST" and (chosen := request.POST.get("action")):
        action += f"#{chosen[:100]}"
    return action, door, values


def _of_program(path: str) -> str:
    """The door at which programs call; "" for what people call."""
    return "api" if path.startswith(API) else "scim" if path.startswith(SCIM) else ""


def _object_of_page(action: str, values: list[Any]) -> str:
    if not values:
        return ""
    model = action.partition(":")[2].rpartition("_")[0].replace("_", ".", 1)
    return f"{model or action}/{values[-1]}"


def _conclude(operation: Operation, response: HttpResponseBase) -> None:
    """What has changed something is written already. The rest is written now."""
    status = response.status_code
    if operation.detail.get("outcome") == "refused":
        refusals.note(operation, status)
    elif operation.written or (operation.writes_itself and status < 400):
        return
    elif status in (401, 403) or status >= 500:
        refusals.note(operation, status)
    elif status >= 400 or operation.action in READING or operation.action in PAGES:
        return
    elif response.headers.get(_REPLAYED) != "true" and operation.principal():
        operation.write_alone()
