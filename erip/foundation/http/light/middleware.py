"""What Django's middleware does for a request with an API key, without running it for each.

Note [Middleware of the light path]
COVERED names every middleware of MIDDLEWARE with the reason why the light path does not need it. Headers that a
middleware adds to each answer are learnt from the middleware itself, so the settings hold. A middleware that is not
named here turns the light path off, because the light path must not bypass a new rule. Add it here once you know that
the light path obeys it.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.utils.module_loading import import_string

from erip.foundation.http.light.messages import LightHeaders

#: adds the same headers to every answer over one scheme
_HEADERS = "adds headers"

COVERED = {
    "workflows.api.wait.WaitMiddleware": "the light path waits itself",
    "django.middleware.security.SecurityMiddleware": _HEADERS,  # and redirects, see `served`
    "erip.foundation.http.files.StaticFiles": "files have other addresses",
    "csp.middleware.CSPMiddleware": _HEADERS,
    "erip.foundation.db.middleware.Consistency": "see `app`; its cookie is for browsers with a session",
    "django_structlog.middlewares.RequestMiddleware": "see `app`: the request's id and caller go with what is logged",
    "django.contrib.sessions.middleware.SessionMiddleware": "a key goes before a session, which is then not read",
    "django.middleware.common.CommonMiddleware": "see `served`; the addresses have no slash at the end",
    "django.middleware.csrf.CsrfViewMiddleware": "a key is no cookie that a browser sends along",
    "django.contrib.auth.middleware.AuthenticationMiddleware": "a key goes before a session",
    "django.contrib.messages.middleware.MessageMiddleware": "for pages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware": _HEADERS,
    "erip.audit.middleware.Audited": "see the hook `light_door`",
    "erip.access.middleware.Logins": "slows the admin's login",
    "erip.access.sign_in.step_up.StepUp": "asks people with a session; a key goes before a session",
    "erip.access.middleware.AdminContentPolicy": "for the admin's pages",
    "erip.access.middleware.AdminAddresses": "for the admin's pages",
    "erip.access.middleware.OneThread": "the light path has a thread of its own",
}


def unknown() -> list[str]:
    """The installed middlewares that the light path does not cover."""
    return [name for name in settings.MIDDLEWARE if name not in COVERED]


def available() -> bool:
    """Whether the light path may answer at all."""
    unusual = settings.DEBUG or settings.FORCE_SCRIPT_NAME or settings.USE_X_FORWARDED_HOST
    refusing = settings.DISALLOWED_USER_AGENTS or settings.PREPEND_WWW
    return not (unusual or refusing or unknown())


def served(headers: LightHeaders, scheme: str) -> bool:
    """Whether the middlewares would let the request pass: its host is ours, and it need not be sent to HTTPS."""
    if settings.SECURE_SSL_REDIRECT and scheme != "https":
        return False
    domain, _ = split_domain_port(headers.get("Host", ""))
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def scheme_of(headers: LightHeaders, scope_scheme: str) -> str:
    """Like HttpRequest.scheme."""
    if settings.SECURE_PROXY_SSL_HEADER:
        variable, secure = settings.SECURE_PROXY_SSL_HEADER
        value = headers.get(variable.removeprefix("HTTP_").replace("_", "-"))
        if value is not None:
            return "https" if value.split(",", 1)[0].strip() == secure else "http"
    return scope_scheme


@cache
def headers_of(scheme: str) -> dict[str, str]:
    """What the middlewares add to each answer over `scheme`."""
    names = [name for name in settings.MIDDLEWARE if COVERED.get(name) == _HEADERS]
    answer: Callable[[HttpRequest], Any] = lambda request: HttpResponse()  # noqa: E731
    for name in reversed(names):
        answer = import_string(name)(answer)
    response = answer(_Plain(scheme))
    return {name: value for name, value in response.items() if name not in ("Content-Type", "Content-Length")}


class _Plain(HttpRequest):
    """A request from which a middleware can only read its scheme."""

    def __init__(self, scheme: str) -> None:
        super().__init__()
        self._scheme = scheme
        self.META["HTTP_HOST"] = "localhost"

    def _get_scheme(self) -> str:
        return self._scheme


def _forget(**_: Any) -> None:
    headers_of.cache_clear()


setting_changed.connect(_forget)
