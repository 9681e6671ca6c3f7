"""The page on which a person adds a security key: as the first second factor while they sign in, or beside others."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache

from erip.audit.operation import describe

from . import factors, flow, security_keys
from .providers.accounts import can_prove
from .views import codes_page, must_prove, page, shown_elsewhere, within


@never_cache
def add(request: HttpRequest) -> HttpResponseBase:
    """Add a security key to one's own account."""
    if can_prove(request.user) and (ask := must_prove(request)):
        return ask
    return _add(request, request.user, to_sign_in=None)


@never_cache
def add_to_sign_in(request: HttpRequest) -> HttpResponseBase:
    """Who needs a second factor and has none adds a security key before they come in."""
    pending = flow.pending(request)
    if pending is None:
        return redirect("admin:login")
    if factors.has(pending.user):
        return redirect("admin:second_factor")
    return shown_elsewhere(request, pending.user) or _add(request, pending.user, to_sign_in=pending)


def _add(request: HttpRequest, user: Any, *, to_sign_in: flow.Pending | None) -> HttpResponseBase:
    name, fault = "", ""
    if request.method == "POST":
        describe(object=f"user:{user.get_username()}")
        name = request.POST.get("name", "").strip()
        try:
            security_keys.register(request, user, name, request.POST.get("credential", ""))
        except security_keys.KeyRefused as error:
            fault = str(error)
            describe(outcome="refused")
        else:
            return _added(request, user, to_sign_in)
    options = ""
    try:
        options = security_keys.ask_to_register(request, user)
    except security_keys.KeyRefused as error:
        fault = str(error)
    context = {"title": "Add a security key", "fault": fault, "key_options": options, "name": name[:60]}
    return page(request, "add_key", {**context, "must": to_sign_in is not None})


def _added(request: HttpRequest, user: Any, to_sign_in: flow.Pending | None) -> HttpResponseBase:
    codes = [] if factors.has_codes(user) else factors.renew_codes(user)
    flow.prove(request)
    next = reverse("admin:security")
    if to_sign_in is not None:
        flow.finish(request, user)
        next = within(request, to_sign_in.next)
    if codes:
        return codes_page(request, codes, next)
    messages.success(request, "The security key is added.")
    return redirect(next)
