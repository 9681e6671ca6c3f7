"""What every answer has, whatever part made it: headers that tell browsers what they may do, and cookies with their
flags.
"""

import http.client
import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from erip.access import keys
from erip.access.scopes import Scope
from tests.integration.test_doors import OPEN, admin_pages, doors
from tests.support.api import key, publish
from tests.support.server import serving

pytestmark = pytest.mark.django_db(transaction=True)

WANTED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
WRONG = {"Authorization": f"Bearer erip_00000000_{'a' * 40}"}


@pytest.fixture
def url() -> Iterator[str]:
    keys.forget_cached()
    publish()
    with serving() as url:
        yield url


def ask(url: str, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], list[str]]:
    """Status, headers in lower case, and cookies."""
    link = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        link.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            link.putheader(name, value)
        if body:
            link.putheader("Content-Length", str(len(body)))
        link.endheaders(body or None)
        answer = link.getresponse()
        pairs = [(name.lower(), value) for name, value in answer.getheaders()]
        return answer.status, dict(pairs), [value for name, value in pairs if name == "set-cookie"]
    finally:
        link.close()


def lacks(path: str, headers: dict[str, str]) -> list[str]:
    missing = [f"{name}: {headers.get(name)}" for name, value in WANTED.items() if headers.get(name) != value]
    policy = headers.get("content-security-policy", "")
    if "default-src 'none'" not in policy or "frame-ancestors 'none'" not in policy:
        missing.append(f"content-security-policy: {policy}")
    if headers.get("referrer-policy") not in ("same-origin", "no-referrer"):
        missing.append(f"referrer-policy: {headers.get('referrer-policy')}")
    private = path.startswith(("/api/v1/", "/admin/", "/reports/", "/health/"))
    if private and "no-store" not in headers.get("cache-control", ""):
        missing.append(f"cache-control: {headers.get('cache-control')}")
    return missing


def test_every_answer_of_every_address_has_them(url: str):
    headers = {"Authorization": f"Bearer {key(Scope.ADMIN)}", "Content-Type": "application/json"}
    tried = [(door.method.upper(), door.path, who) for door in doors() for who in ({}, WRONG, headers)]
    tried += [("GET", "/" + route.replace("<str:token>", "none"), {}) for route in OPEN]
    tried += [("GET", path, {}) for path in list(admin_pages().values())[::9]]
    tried += [
        ("GET", "/nowhere", {}),
        ("GET", "/api/v1/nowhere", headers),
        ("GET", "/static/admin/css/base.css", {}),
        ("GET", "/static/nothing.css", {}),
        ("GET", "/admin/nowhere", {}),
        ("GET", "/api/v1/runs", {**headers, "Host": "attacker.example"}),
        ("GET", "/admin/login/", {"Host": "a b"}),
        ("POST", "/health/live", {}),
        ("PURGE", "/api/v1/runs", headers),
        ("GET", "/%00/%ff/..", {}),
    ]
    missing = {}
    for method, path, who in tried:
        keys.forget_cached()
        status, answered, _ = ask(url, method, path, b"" if method == "GET" else b"{}", **who)
        if found := lacks(path, answered):
            missing[f"{method} {path} {status}"] = found

    assert len(tried) > 150
    assert missing == {}


def test_over_https_browsers_are_told_to_remember_it_by_every_part(url: str, settings):
    """Behind a proxy that ends TLS; over HTTP the header means nothing, and is not sent (RFC 6797, section 7.2)."""
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_HSTS_SECONDS = 31_536_000
    known = {"Authorization": f"Bearer {key(Scope.ADMIN)}"}
    asked = [
        ("/health/live", {}),
        ("/api/v1/runs", known),
        ("/api/v1/workflows", known),
        ("/api/v1/runs", WRONG),
        ("/admin/login/", {}),
        ("/nowhere", {}),
        ("/static/nothing.css", {}),
        ("/api/v1/runs", {**known, "Host": "attacker.example"}),
        ("/%00/%ff/..", {}),
    ]
    for path, who in asked:
        for scheme, expected in (("https", "max-age=31536000"), ("http", None)):
            _, answered, _ = ask(url, "GET", path, **who, **{"X-Forwarded-Proto": scheme})
            assert answered.get("strict-transport-security") == expected, (path, scheme)


def test_the_cookies_have_their_flags(url: str, settings):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    User.objects.create_superuser("root", password="a-long-password")
    _, _, first = ask(url, "GET", "/admin/login/")
    token = SimpleCookie(first[0])["csrftoken"].value
    form = urlencode({"username": "root", "password": "a-long-password", "csrfmiddlewaretoken": token}).encode()
    kind = "application/x-www-form-urlencoded"
    status, _, cookies = ask(
        url, "POST", "/admin/login/", form, **{"Content-Type": kind, "Cookie": f"csrftoken={token}"}
    )

    assert status == 302
    found = {name: each for cookie in [*first, *cookies] for name, each in SimpleCookie(cookie).items()}
    assert {re.sub("_[0-9a-f]{12}$", "", name) for name in found} >= {"csrftoken", "sessionid", "erip_device"}
    for name, each in found.items():
        assert each["samesite"] == "Lax", name
        assert each["secure"], name
        # The page of the API's documentation reads the token, to send it along.
        assert bool(each["httponly"]) == (name != "csrftoken"), name


@pytest.mark.parametrize(
    "target", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_signing_in_leads_to_no_other_place(target: str):
    User.objects.create_superuser("root", password="a-long-password")
    said = {"username": "root", "password": "a-long-password", "next": target}

    answer = Client().post(f"/admin/login/?{urlencode({'next': target})}", said)

    assert answer.status_code == 302
    assert answer.headers["Location"] == "/admin/"


def test_the_check_names_missing_proxies(settings, capsys):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.ERIP_TRUSTED_PROXIES = []
    call_command("check", "--deploy", "--tag=security")
    assert "door.W002" in capsys.readouterr().err


def test_no_page_of_the_admin_is_framed_by_anybody():
    assert admin.site.urls
    client = Client()
    client.force_login(User.objects.create_superuser("root"), backend="django.contrib.auth.backends.ModelBackend")

    answer = client.get("/admin/")
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
