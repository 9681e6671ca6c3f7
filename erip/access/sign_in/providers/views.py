"""The pages of signing in at an identity provider: going there, coming back, linking an account, signing out."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from typing import Any, Final

import structlog
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import logout as django_logout
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from erip.audit.operation import describe

from ...flags.asking import is_on
from .. import flow, once, sealing, sessions
from ..views import must_prove, page, within
from . import accounts, asking, oidc, saml
from .configured import configured
from .shown import Away, Refused, Shown

log = structlog.get_logger(__name__)

#: seconds for which a link can be confirmed
_CONFIRM: Final = 300
#: seconds by which a proof may be older than the question for it
_OLD: Final = 60
#: the flag that closes all but the views of these names: a provider that says who signed out is heard, as that only
#: takes access away
_FLAG: Final = "sign-in-by-provider"
_OPEN: Final = frozenset({"ended"})
View = Callable[..., HttpResponseBase]


def _of_provider(view: View) -> View:
    """Gives the view its provider, and answers what it raises with a page."""

    @wraps(view)
    def answered(request: HttpRequest, provider: str) -> HttpResponseBase:
        found = configured().get(provider)
        if found is None:
            raise Http404
        if view.__name__ not in _OPEN and not is_on(_FLAG, f"provider:{provider}"):
            describe(outcome="refused", why="switched off")
            return _said(request, f"Signing in with {found.title} is switched off for now.", 503)
        try:
            return view(request, found)
        except Refused as error:
            log.warning("sign_in_refused", provider=provider, why=error.detail)
            describe(outcome="refused", why=error.detail[:200] or str(error)[:200])
            return _said(request, str(error), 403)
        except Away:
            return _said(request, f"{found.title} does not answer. Try again in a moment.", 503)

    return never_cache(answered)


@_of_provider
def go(request: HttpRequest, provider: Any) -> HttpResponseBase:
    """Send the browser to the provider. link: to link an account; prove: to show a second factor once more."""
    purpose: asking.Purpose = "sign-in"
    for one in ("link", "prove"):
        if one in request.GET and admin.site.has_permission(request):
            purpose = one
    if purpose == "link" and accounts.can_prove(request.user) and (ask := must_prove(request)):
        return ask
    asked = asking.begin(provider.name, purpose, request.GET.get("next", ""), request.user.pk)
    if provider.protocol == "saml":
        response = redirect(saml.address(provider, asked, _place(provider, "answered"), _us(provider)))
    else:
        response = redirect(oidc.address(provider, asked, _place(provider, "returned")))
    asking.remember(response, asked)
    return response


@_of_provider
def returned(request: HttpRequest, provider: Any) -> HttpResponseBase:
    """The browser comes back from the provider, with an answer in its address."""
    if provider.protocol != "oidc":
        raise Http404
    asked = asking.recall(request, provider.name, request.GET.get("state", ""))
    asking.need_unused(asked)
    shown = oidc.answer(provider, asked, request.GET.dict(), _place(provider, "returned"))
    asking.use(asked)
    return finish(request, provider, asked, shown)


@_of_provider
def answered(request: HttpRequest, provider: Any) -> HttpResponseBase:
    """The browser comes back from the provider with a form, without our cookies, as it comes from another site. So the
    form is sent once more from a page of ours, and nothing is read of it before that."""
    if request.method != "POST" or provider.protocol != "saml":
        raise Http404
    sent = request.POST.get("SAMLResponse", "")
    if len(sent) > saml.LONGEST_SENT:
        raise Refused(f"What {provider.title} sent is too large.", "size")
    if "again" not in request.POST and asking.COOKIE not in request.COOKIES:
        return page(request, "go_on", {"title": "Signing in", "sent": sent, "provider": provider})
    asked = asking.recall(request, provider.name)
    shown = saml.answer(provider, asked, sent, _place(provider, "answered"), _us(provider), timezone.now())
    asking.use(asked)
    return finish(request, provider, asked, shown)


@_of_provider
def metadata(request: HttpRequest, provider: Any) -> HttpResponseBase:
    """What a SAML provider wants to know of the platform."""
    if provider.protocol != "saml":
        raise Http404
    told = saml.metadata(_place(provider, "answered"), _us(provider))
    return HttpResponse(told, content_type="application/samlmetadata+xml")


def _us(provider: Any) -> str:
    """How a SAML provider names the platform."""
    return str(provider.us or _place(provider, "metadata"))


def finish(request: HttpRequest, provider: Any, asked: asking.Asked, shown: Shown) -> HttpResponseBase:
    """Do what the browser was sent away for. Raises Refused."""
    response = _FINISH[asked.purpose](request, provider, asked, shown)
    asking.forget(response)
    return response


def _come_in(request: HttpRequest, provider: Any, asked: asking.Asked, shown: Shown) -> HttpResponseBase:
    with transaction.atomic():
        user = accounts.come_in(provider, shown)
        # Nobody is signed in yet, but whose doing this is, is known: an account and roles that are made have an entry.
        request.proved = f"user:{user.get_username()}"  # type: ignore[attr-defined]
        describe(object=request.proved, provider=provider.name)  # type: ignore[attr-defined]
    next = within(request, asked.next)
    through = flow.Through(provider.name, shown.session)
    # Who is signed in there already is asked nothing, so this may have been hours ago.
    proved = (shown.at or 0.0) if shown.second_factor else None
    if flow.begin(request, user, next, proved=proved, through=through):
        describe(second_factor="asked")
        return redirect("admin:second_factor")
    return redirect(next)


def _prove(request: HttpRequest, provider: Any, asked: asking.Asked, shown: Shown) -> HttpResponseBase:
    """They showed a second factor at the provider once more, just now."""
    describe(object=f"user:{request.user.get_username()}")
    theirs = request.user.identities.filter(issuer=shown.issuer, subject=shown.subject)  # type: ignore[union-attr]
    if not theirs.exists():
        raise Refused("That was another person at the provider.", "another subject")
    if not shown.second_factor:
        raise Refused(f"{provider.title} did not say that you showed a second factor.", "no second factor")
    if shown.at is None or not asked.at - _OLD <= shown.at <= time.time() + _OLD:
        raise Refused(f"{provider.title} did not ask you once more.", "auth_time")
    flow.prove(request)
    return redirect(within(request, asked.next))


def _ask_to_link(request: HttpRequest, provider: Any, asked: asking.Asked, shown: Shown) -> HttpResponseBase:
    """Who is linked is shown before it is done: an answer of somebody else could have been slipped to this browser."""
    told = {"user": request.user.pk, "shown": {**asdict(shown), "groups": None}, "at": time.time()}
    sealed = sealing.seal(json.dumps(told).encode()).decode()
    who = shown.username or shown.email or shown.subject
    context = {"title": "Link your account", "provider": provider, "who": who, "sealed": sealed}
    return page(request, "link", context)


_FINISH: Final = {"sign-in": _come_in, "prove": _prove, "link": _ask_to_link}


@_of_provider
def linked(request: HttpRequest, provider: Any) -> HttpResponseBase:
    """The person has confirmed whom their account is linked with."""
    try:
        told = json.loads(sealing.unseal(request.POST.get("sealed", "").encode()))
        shown, fits = told["shown"], told["user"] == request.user.pk and 0 <= time.time() - told["at"] <= _CONFIRM
    except (sealing.Unreadable, ValueError, KeyError, TypeError) as error:
        raise Refused("Please begin again.", "sealed") from error
    if not fits or shown["issuer"] != provider.issuer:
        raise Refused("That took too long. Please begin again.", "sealed")
    if accounts.can_prove(request.user) and (ask := must_prove(request)):
        return ask
    accounts.link(provider.name, shown["issuer"], shown["subject"], request.user)
    messages.success(request, f"Your account is linked with {provider.title}.")
    return redirect("admin:security")


@_of_provider
def ended(request: HttpRequest, provider: Any) -> HttpResponseBase:
    """The provider says that somebody signed out there (OpenID Connect Back-Channel Logout 1.0)."""
    if request.method != "POST" or provider.protocol != "oidc":
        raise Http404
    subject, session, number = oidc.ended(provider, request.POST.get("logout_token", ""))
    if not once.first_time(f"token of signing out of {provider.name}", number, seconds=900):
        raise Refused("This token was used.", "jti")
    request.proved = accounts.granted_by(provider.name)  # type: ignore[attr-defined]
    describe(sessions=accounts.end_sessions(provider, subject, session))
    return HttpResponse(status=200, headers={"Cache-Control": "no-store"})


def logout(request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
    """In place of the method `logout` of the admin's site: who came in at a provider is shown how to sign out there."""
    if request.method != "POST":
        return _signed_out(request, extra_context)
    provider = configured().get(str(request.session.get(sessions.THROUGH, {}).get("provider", "")))
    if provider is None or provider.protocol != "oidc":
        return _signed_out(request, extra_context)
    address = oidc.end_address(provider, f"{settings.ERIP_PUBLIC_URL}{reverse('admin:login')}")
    if not address:
        return _signed_out(request, extra_context)
    django_logout(request)
    # A link, and no redirect: browsers hold what follows a form to the policy for forms, which is this site alone.
    return page(request, "signed_out", {"title": "Signed out", "provider": provider, "address": address})


_signed_out: View = admin.site.logout


def _place(provider: Any, what: str) -> str:
    """The address of a page of this provider, as the provider knows it."""
    return f"{settings.ERIP_PUBLIC_URL}{reverse(f'admin:sign_in_{what}', args=[provider.name])}"


def _said(request: HttpRequest, said: str, status: int) -> HttpResponse:
    response = page(request, "refused", {"title": "Not signed in", "said": said})
    response.status_code = status
    return response


def urls() -> list[URLPattern]:
    """All but one are for people who are not signed in yet."""
    guarded = admin.site.admin_view
    return [
        path("sign-in/<slug:provider>/", csrf_protect(go), name="sign_in_at"),
        path("sign-in/<slug:provider>/returned", csrf_protect(returned), name="sign_in_returned"),
        path("sign-in/<slug:provider>/answered", csrf_exempt(answered), name="sign_in_answered"),
        path("sign-in/<slug:provider>/metadata", metadata, name="sign_in_metadata"),
        path("sign-in/<slug:provider>/linked", guarded(linked), name="sign_in_linked"),
        path("sign-in/<slug:provider>/ended", csrf_exempt(ended), name="sign_in_ended"),
    ]
