"""The pages of signing in, of one's own security, and of showing a second factor once more."""

from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from erip.audit.operation import describe

from .. import logins
from ..backends import TOO_SOON
from ..models import SignedIn
from . import factors, flow, sealing, sessions

#: in a session: the secret that is being set up, sealed
_SETTING_UP = "erip_setting_up"
_WRONG = "This code is not right. Each code opens something once: wait for the next one."


class SignIn(LoginView):
    """Django's own; the session begins when everything is shown: Note [No session before all is shown] in `flow`."""

    def form_valid(self, form: Any) -> HttpResponse:
        user, next = form.get_user(), self.get_success_url()
        if flow.begin(self.request, user, next):
            describe(second_factor="asked", object=f"user:{user.get_username()}")
            return redirect("admin:second_factor")
        return redirect(next)


@never_cache
def second_factor(request: HttpRequest) -> HttpResponseBase:
    """The second step of signing in: show a second factor, or set one up."""
    pending = flow.pending(request)
    if pending is None:
        return redirect("admin:login")
    if not factors.has(pending.user):
        return _set_up(request, pending.user, to_sign_in=pending)
    fault = ""
    if request.method == "POST":
        describe(object=f"user:{pending.user.get_username()}")
        good, fault = _checked(request, pending.user)
        if good:
            flow.finish(request, pending.user)
            return redirect(_within(request, pending.next))
    context = {"title": "Second factor", "fault": fault, "user_name": pending.user.get_username()}
    return _page(request, "second_factor", context)


@never_cache
def step_up(request: HttpRequest) -> HttpResponseBase:
    """Show a second factor once more, before something dangerous."""
    next, fault = request.POST.get("next") or request.GET.get("next") or "", ""
    if request.method == "POST":
        good, fault = _checked(request, request.user)
        if good:
            flow.prove(request)
            return redirect(_within(request, next))
    return _page(request, "step_up", {"title": "Show your second factor", "fault": fault, "next": next})


@never_cache
def security(request: HttpRequest) -> HttpResponseBase:
    """Somebody's own second factor and sessions."""
    here = request.session.session_key or ""
    if request.method == "POST" and (number := request.POST.get("end", "")).isdecimal() and len(number) < 19:
        ended = sessions.end(SignedIn.objects.filter(user=request.user.pk, pk=int(number)).exclude(session_key=here))
        messages.success(request, "The session is ended." if ended else "There is no such session.")
        return redirect("admin:security")
    if request.method == "POST" and "end_others" in request.POST:
        messages.success(request, f"Sessions that were ended: {sessions.end_all(request.user, but=here)}.")
        return redirect("admin:security")
    if request.method == "POST" and "codes" in request.POST and factors.has(request.user):
        if ask := must_prove(request):
            return ask
        return _codes(request, factors.renew_codes(request.user), reverse("admin:security"))
    if request.method == "POST" and "remove" in request.POST and not factors.needs(request.user):
        if ask := must_prove(request):
            return ask
        factors.remove(request.user)
        messages.success(request, "Your second factor is removed.")
        return redirect("admin:security")
    found = list(sessions.open_ones(user=request.user))
    context = {
        "title": "Your security",
        "factors": list(request.user.factors.all()),  # type: ignore[union-attr]
        "has": factors.has(request.user),
        "needs": factors.needs(request.user),
        "sessions": [(one, one.session_key == here) for one in found],
    }
    return _page(request, "security", context)


@never_cache
def set_up(request: HttpRequest) -> HttpResponseBase:
    """Set up a second factor, or another one in place of the one that there is."""
    if factors.has(request.user) and (ask := must_prove(request)):
        return ask
    return _set_up(request, request.user, to_sign_in=None)


def must_prove(request: HttpRequest) -> HttpResponseBase | None:
    """Where somebody is sent who has not shown their second factor within the last minutes; None: they have."""
    if flow.proved_lately(request, LATELY):
        return None
    describe(outcome="refused")
    return redirect(f"{reverse('admin:step_up')}?next={reverse('admin:security')}")


#: minutes for which a second factor counts for changing it
LATELY = 5.0


def _set_up(request: HttpRequest, user: Any, *, to_sign_in: flow.Pending | None) -> HttpResponseBase:
    import segno  # a process in which nobody sets one up does without

    secret = _being_set_up(request)
    fault = ""
    if request.method == "POST":
        describe(object=f"user:{user.get_username()}")
        try:
            attempt = factors.begin(request, user)
        except logins.TooSoon as error:
            fault = _too_soon(request, error)
        else:
            codes = factors.enrol(user, secret, "".join(request.POST.get("code", "").split()))
            if codes is not None:
                logins.succeeded(attempt)
                request.session.pop(_SETTING_UP, None)
                flow.prove(request)
                if to_sign_in is not None:
                    flow.finish(request, user)
                    return _codes(request, codes, _within(request, to_sign_in.next))
                return _codes(request, codes, reverse("admin:security"))
            fault = _WRONG
            describe(outcome="refused")
    address = factors.address_of(secret, user.get_username())
    context = {
        "title": "Set up a second factor",
        "fault": fault,
        "secret": factors.shown(secret),
        "picture": segno.make(address, error="m").svg_data_uri(scale=5),
        "must": to_sign_in is not None,
    }
    return _page(request, "set_up", context)


def _being_set_up(request: HttpRequest) -> bytes:
    """The same secret until it is set up: a page that is loaded twice shows the same picture."""
    try:
        return sealing.unseal(request.session[_SETTING_UP].encode())
    except (KeyError, sealing.Unreadable):
        secret = factors.new_secret()
        request.session[_SETTING_UP] = sealing.seal(secret).decode()
        return secret


def _checked(request: HttpRequest, user: Any) -> tuple[bool, str]:
    """Whether the code that was sent is right, and if not, what to say."""
    try:
        if factors.check(request, user, request.POST.get("code", "")[:100]):
            return True, ""
    except logins.TooSoon as error:
        describe(outcome="refused")
        return False, _too_soon(request, error)
    describe(outcome="refused")
    return False, _WRONG


def _too_soon(request: HttpRequest, error: logins.TooSoon) -> str:
    setattr(request, TOO_SOON, error.seconds)
    return f"Too many codes were wrong. Try again in {max(1, round(error.seconds))} seconds."


def _codes(request: HttpRequest, codes: list[str], next: str) -> HttpResponseBase:
    """Recovery codes, in the answer itself: a message would keep them in a cookie or a session until they are shown."""
    return _page(request, "recovery_codes", {"title": "Recovery codes", "codes": codes, "next": next})


def _within(request: HttpRequest, next: str) -> str:
    """`next`, if it is one of our own pages."""
    ours = url_has_allowed_host_and_scheme(next, {request.get_host()}, require_https=request.is_secure())
    return next if ours and urlsplit(next).path.startswith("/") else reverse("admin:index")


def _page(request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
    response = TemplateResponse(
        request, f"admin/access/sign_in/{name}.html", {**admin.site.each_context(request), **context}
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@method_decorator(never_cache, name="dispatch")
class Login(SignIn):
    """At /admin/login/, with the admin's own page and form."""

    template_name = "admin/login.html"

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        if request.method == "GET" and admin.site.has_permission(request):
            return redirect("admin:index")
        request.current_app = admin.site.name
        return super().dispatch(request, *args, **kwargs)

    def get_form_class(self) -> Any:
        return admin.site.login_form

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        request = self.request
        context = {
            **super().get_context_data(**kwargs),
            **admin.site.each_context(request),
            "title": "Log in",
            "subtitle": None,
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
        }
        if self.redirect_field_name not in request.GET and self.redirect_field_name not in request.POST:
            context[self.redirect_field_name] = reverse("admin:index")
        return context


def login(request: HttpRequest, extra_context: Any = None) -> HttpResponseBase:
    """In place of the method `login` of the admin's site."""
    return Login.as_view(extra_context=extra_context or {})(request)


def urls() -> list[URLPattern]:
    """Pages of the admin's site besides its own. Two are for those who are not signed in yet."""
    guarded = admin.site.admin_view
    return [
        path("second-factor/", csrf_protect(second_factor), name="second_factor"),
        path("security/", guarded(security), name="security"),
        path("security/set-up/", guarded(set_up), name="set_up_factor"),
        path("security/prove/", guarded(step_up), name="step_up"),
    ]
