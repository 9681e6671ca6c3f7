"""The pages of signing in, of one's own security, and of showing a second factor once more."""

from typing import Any
from urllib.parse import quote, urlsplit

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
from . import factors, flow, sealing, security_keys, sessions
from .providers.accounts import can_prove, proving_at, unlink
from .providers.configured import configured

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
        return shown_elsewhere(request, pending.user) or _set_up(request, pending.user, to_sign_in=pending)
    fault = ""
    if request.method == "POST":
        describe(object=f"user:{pending.user.get_username()}")
        good, fault = _checked(request, pending.user)
        if good:
            flow.finish(request, pending.user)
            return redirect(within(request, pending.next))
    context = {"title": "Second factor", "fault": fault, "user_name": pending.user.get_username()}
    return page(request, "second_factor", {**context, **_to_show(request, pending.user)})


@never_cache
def step_up(request: HttpRequest) -> HttpResponseBase:
    """Show a second factor once more, before something dangerous."""
    next, fault = request.POST.get("next") or request.GET.get("next") or "", ""
    if request.method == "POST":
        good, fault = _checked(request, request.user)
        if good:
            flow.prove(request)
            return redirect(within(request, next))
    context = {"title": "Show your second factor", "fault": fault, "next": next, "next_quoted": quote(next)}
    return page(request, "step_up", {**context, **_to_show(request, request.user)})


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
        return codes_page(request, factors.renew_codes(request.user), reverse("admin:security"))
    if request.method == "POST" and "remove" in request.POST and not factors.needs(request.user):
        if ask := must_prove(request):
            return ask
        factors.remove(request.user)
        messages.success(request, "Your second factors are removed.")
        return redirect("admin:security")
    if request.method == "POST" and (number := request.POST.get("remove_key", "")).isdecimal() and len(number) < 19:
        return _without_key(request, int(number))
    if request.method == "POST" and (number := request.POST.get("unlink", "")).isdecimal() and len(number) < 19:
        return _unlinked(request, int(number))
    found = list(sessions.open_ones(user=request.user))
    context = {
        "title": "Your security",
        "factors": list(request.user.factors.all()),  # type: ignore[union-attr]
        "keys": list(request.user.security_keys.all()),  # type: ignore[union-attr]
        "can_have_keys": security_keys.place() is not None,
        "identities": list(request.user.identities.all()),  # type: ignore[union-attr]
        "providers": list(configured().values()),
        "has": factors.has(request.user),
        "has_app": factors.has_app(request.user),
        "needs": factors.needs(request.user),
        "sessions": [(one, one.session_key == here) for one in found],
    }
    return page(request, "security", context)


@never_cache
def set_up(request: HttpRequest) -> HttpResponseBase:
    """Set up a second factor, or another one in place of the one that there is."""
    if can_prove(request.user) and (ask := must_prove(request)):
        return ask
    return _set_up(request, request.user, to_sign_in=None)


def _unlinked(request: HttpRequest, number: int) -> HttpResponseBase:
    """Take one of the links of their account with providers away."""
    user = request.user
    if can_prove(user) and (ask := must_prove(request)):
        return ask
    if not user.has_usable_password() and user.identities.exclude(pk=number).count() == 0:  # type: ignore[union-attr]
        messages.error(request, "You have no password: without this link you could not sign in any more.")
    elif unlink(user, number, but=request.session.session_key or ""):
        messages.success(request, "The link is taken away.")
    else:
        messages.error(request, "There is no such link.")
    return redirect("admin:security")


def _without_key(request: HttpRequest, number: int) -> HttpResponseBase:
    """Remove one of their security keys."""
    if ask := must_prove(request):
        return ask
    others = request.user.security_keys.exclude(pk=number).filter(copied_at=None)  # type: ignore[union-attr]
    last = not factors.has_app(request.user) and not others.exists()
    if last and factors.needs(request.user):
        messages.error(request, "It is your only second factor, and your role needs one. Add another one first.")
    elif security_keys.remove(request.user, number):
        if not factors.has(request.user):
            factors.remove(request.user)  # recovery codes stand in for nothing now
        messages.success(request, "The security key is removed.")
    else:
        messages.error(request, "There is no such security key.")
    return redirect("admin:security")


def shown_elsewhere(request: HttpRequest, user: Any) -> HttpResponseBase | None:
    """What somebody is told who has shown a password, and whose second factor is at a provider: nobody begins with a
    new one here who knows the password alone. None: it is not there, or they came from a provider."""
    at = [] if sessions.THROUGH in request.session else proving_at(user)
    if not at:
        return None
    describe(outcome="refused", object=f"user:{user.get_username()}")
    named = " or ".join(f"“{one.title}”" for one in at)
    said = f"Your second factor is with your identity provider. Sign in there: {named}."
    answer = page(request, "refused", {"title": "Not signed in", "said": said})
    answer.status_code = 403
    return answer


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
            fault = too_soon(request, error)
        else:
            codes = factors.enrol(user, secret, "".join(request.POST.get("code", "").split()))
            if codes is not None:
                logins.succeeded(attempt)
                request.session.pop(_SETTING_UP, None)
                flow.prove(request)
                if to_sign_in is not None:
                    flow.finish(request, user)
                    return codes_page(request, codes, within(request, to_sign_in.next))
                return codes_page(request, codes, reverse("admin:security"))
            fault = _WRONG
            describe(outcome="refused")
    address = factors.address_of(secret, user.get_username())
    context = {
        "title": "Set up a second factor",
        "fault": fault,
        "secret": factors.shown(secret),
        "picture": segno.make(address, error="m").svg_data_uri(scale=5),
        "must": to_sign_in is not None,
        "can_have_keys": security_keys.place() is not None,
    }
    return page(request, "set_up", context)


def _being_set_up(request: HttpRequest) -> bytes:
    """The same secret until it is set up: a page that is loaded twice shows the same picture."""
    try:
        return sealing.unseal(request.session[_SETTING_UP].encode())
    except (KeyError, sealing.Unreadable):
        secret = factors.new_secret()
        request.session[_SETTING_UP] = sealing.seal(secret).decode()
        return secret


def _checked(request: HttpRequest, user: Any) -> tuple[bool, str]:
    """Whether the code, or the answer of a security key, that was sent is right, and if not, what to say."""
    if sent := request.POST.get("credential"):
        try:
            security_keys.check(request, user, sent)
        except security_keys.KeyRefused as error:
            describe(outcome="refused")
            return False, str(error)
        return True, ""
    try:
        if factors.check(request, user, request.POST.get("code", "")[:100]):
            return True, ""
    except logins.TooSoon as error:
        describe(outcome="refused")
        return False, too_soon(request, error)
    describe(outcome="refused")
    return False, _WRONG


def _to_show(request: HttpRequest, user: Any) -> dict[str, Any]:
    """What the pages that ask for a second factor show: what a security key is asked to sign, and what a code is of."""
    app = factors.has_app(user)
    return {
        "key_options": security_keys.ask_to_sign(request, user),
        "label": "The code of your app, or a recovery code" if app else "A recovery code",
        "by_code": factors.has(user),
        "proving_at": proving_at(user) if request.user.is_authenticated else [],
    }


def too_soon(request: HttpRequest, error: logins.TooSoon) -> str:
    setattr(request, TOO_SOON, error.seconds)
    return f"Too many codes were wrong. Try again in {max(1, round(error.seconds))} seconds."


def codes_page(request: HttpRequest, codes: list[str], next: str) -> HttpResponseBase:
    """Recovery codes, in the answer itself: a message would keep them in a cookie or a session until they are shown."""
    return page(request, "recovery_codes", {"title": "Recovery codes", "codes": codes, "next": next})


def within(request: HttpRequest, next: str) -> str:
    """`next`, if it is one of our own pages."""
    ours = url_has_allowed_host_and_scheme(next, {request.get_host()}, require_https=request.is_secure())
    return next if ours and urlsplit(next).path.startswith("/") else reverse("admin:index")


def page(request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
    response = TemplateResponse(
        request, f"admin/access/sign_in/{name}.html", {**admin.site.each_context(request), **context}
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@method_decorator(never_cache, name="dispatch")
class Login(SignIn):
    """At /admin/login/, with the admin's own page and form."""

    template_name = "admin/access/sign_in/login.html"

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
            "providers": list(configured().values()),
            "next_after": quote(self.get_redirect_url()),
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
    """Pages of the admin's site besides its own. Some are for those who are not signed in yet."""
    from . import key_views  # both import this module
    from .providers import views as provider_views

    guarded = admin.site.admin_view
    return [
        path("second-factor/", csrf_protect(second_factor), name="second_factor"),
        path("second-factor/key/", csrf_protect(key_views.add_to_sign_in), name="second_factor_key"),
        path("security/keys/add/", guarded(key_views.add), name="add_security_key"),
        *provider_views.urls(),
        path("security/", guarded(security), name="security"),
        path("security/set-up/", guarded(set_up), name="set_up_factor"),
        path("security/prove/", guarded(step_up), name="step_up"),
    ]
