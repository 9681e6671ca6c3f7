"""Asks for a second factor once more, before what is dangerous.

Note [Step-up]
Who may hand out access can give it to themselves or to others; a browser that is left open must not be enough for that.
So people who have a second factor show it again, if they have not done so within ERIP_STEP_UP_MINUTES, before they
change what the permissions that are declared `dangerous` are about: at the API with a session, in the console's forms,
and on the admin's pages that say `dangerous`. At an identity provider whose second factor counts here, it can be shown
there. Who has none is not asked, unless ERIP_SECOND_FACTOR_ROLES says that they must have one: a session from before
that sets it up first. API keys are not people.
"""

from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from erip.audit.operation import describe
from erip.foundation.http.problems import API, SCIM, Problem, respond

from ..catalog import declared
from ..permissions import rule_of
from . import factors, flow, sessions
from .providers.accounts import can_prove

_SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
_FOR_PROGRAMS = (API, SCIM)


class StepUp:
    """Belongs after what finds out who is signed in, and after the audit log's."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        before = request.session.session_key
        response = self.get_response(request)
        after = request.session.session_key
        if before and after and before != after and (user := request.session.get(SESSION_KEY)):
            sessions.renamed(before, after, user)
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        minutes = settings.ERIP_STEP_UP_MINUTES
        if request.method in _SAFE or minutes <= 0 or not is_dangerous(request, view):
            return None
        by_api = request.path.startswith(_FOR_PROGRAMS)
        if by_api and request.headers.get("Authorization", "")[:7].lower() == "bearer ":
            return None  # a key goes before a session there; elsewhere it says nothing, and the session counts
        user = request.user
        if not user.is_authenticated or flow.proved_lately(request, minutes):
            return None
        has = can_prove(user)
        if not has and not factors.needs(user):
            return None
        describe(outcome="refused")
        if by_api:
            do, where = ("Show your", "step_up") if has else ("Set up a", "set_up_factor")
            said = f"{do} second factor at {reverse(f'admin:{where}')}, and send the same request again."
            return respond(Problem(403, "step-up-needed", said), request.path)
        if not has:
            return redirect("admin:set_up_factor")
        return redirect(f"{reverse('admin:step_up')}?{urlencode({'next': _back_to(request)})}")


def _back_to(request: HttpRequest) -> str:
    """Where to go afterwards: to the same page; a form of the console has its page above it."""
    path = request.get_full_path()
    found = request.resolver_match
    return request.path.rpartition("/")[0] if found is not None and found.namespaces[:1] == ["console"] else path


def is_dangerous(request: HttpRequest, view: Any) -> bool:
    """Whether what this request would change is dangerous: Note [Step-up]."""
    if request.path.startswith(_FOR_PROGRAMS):
        needed = rule_of(getattr(view, "view_class", None), request.method or "").permissions
        return not _dangerous().isdisjoint(needed)
    found = request.resolver_match
    if found is not None and found.namespaces[:1] == ["console"]:
        return not _dangerous().isdisjoint(getattr(view, "permissions", ()))
    return found is not None and found.namespaces[:1] == ["admin"] and _of_dangerous_page(found.url_name or "")


@cache
def _dangerous() -> frozenset[str]:
    return frozenset(one.name for one in declared() if one.dangerous)


@cache
def _of_dangerous_page(name: str) -> bool:
    return any(
        name.startswith(f"{model._meta.app_label}_{model._meta.model_name}_")
        for model, page in admin.site._registry.items()
        if getattr(page, "dangerous", False)
    )
