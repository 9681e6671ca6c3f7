"""Signing in with a second factor, sessions that are ended, and asking again before what is dangerous."""

import base64
import re
import time
from datetime import timedelta
from io import StringIO
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from console.viewers import viewers
from erip.access import keys, logins
from erip.access.catalog import declared
from erip.access.models import ApiKey, Factor, Grant, LoginCounter, SignedIn, Space
from erip.access.sign_in import factors, flow, sealing
from erip.audit import refusals
from erip.audit.models import Entry
from erip.ops.stack.state import ROOT
from tests.support.admin_pages import all_pages
from tests.support.api import publish

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
PASSWORD = "a-long-password"
LOGIN, SECOND, SET_UP, PROVE, SECURITY = (
    "/admin/login/", "/admin/second-factor/", "/admin/security/set-up/", "/admin/security/prove/", "/admin/security/",
)  # fmt: skip


def code(secret: bytes, steps: int = 0) -> str:
    """The app's code, some steps from now."""
    return (
        TOTP(secret, 6, SHA1(), 30, enforce_key_length=False).generate((int(time.time() // 30) + steps) * 30).decode()
    )


@pytest.fixture
def secret() -> bytes:
    return factors.new_secret()


@pytest.fixture
def ada(secret: bytes) -> User:
    """A superuser with a second factor."""
    user = User.objects.create_superuser("ada", password=PASSWORD)
    assert factors.enrol(user, secret, code(secret, -1)) is not None
    return user


def browser() -> Client:
    viewers.forget()
    return Client(raise_request_exception=False)


def sign_in(client: Client, username: str = "ada", next: str = "") -> Any:
    return client.post(f"{LOGIN}?next={next}" if next else LOGIN, {"username": username, "password": PASSWORD})


def let_in(client: Client) -> list[int]:
    """How the doors for people answer."""
    return [client.get(path).status_code for path in ("/admin/", "/api/v1/runs", "/console/health", SECURITY)]


def test_after_the_password_alone_no_door_opens(ada: User, secret: bytes) -> None:
    publish()
    client = browser()
    assert let_in(client) == [302, 401, 302, 302]

    answer = sign_in(client, next="/admin/access/apikey/")

    assert answer.headers["Location"] == SECOND
    assert let_in(client) == [302, 401, 302, 302]
    assert client.post(SET_UP, {"code": code(secret)}).status_code == 302
    assert client.post("/api/v1/runs/cancel", {}, "application/json").status_code == 401
    answer = client.post(SECOND, {"code": code(secret)})
    assert answer.headers["Location"] == "/admin/access/apikey/"
    assert let_in(client) == [200] * 4


@pytest.mark.parametrize("next", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)", "\\\\x"])
def test_nobody_is_sent_elsewhere(ada: User, secret: bytes, next: str) -> None:
    client = browser()
    sign_in(client, next=next)
    assert client.post(SECOND, {"code": code(secret)}).headers["Location"] == "/admin/"
    assert client.post(PROVE, {"code": code(secret, 1), "next": next}).headers["Location"] == "/admin/"


def test_a_code_opens_something_once_and_only_in_its_time(ada: User, secret: bytes) -> None:
    client = browser()
    sign_in(client)
    for wrong in (code(secret, -1), code(secret, -2), code(secret, 9), "", "000000", "١٢٣٤٥٦", "\0", "a" * 9_999):
        assert client.post(SECOND, {"code": wrong}).status_code in (200, 429)
        call_command("forget_logins", stdout=StringIO())
    good = code(secret)
    assert client.post(SECOND, {"code": f"{good[:3]} {good[3:]}"}).status_code == 302
    other = browser()
    sign_in(other)
    assert other.post(SECOND, {"code": good}).status_code == 200  # it was used
    assert let_in(other)[0] == 302


def test_wrong_codes_are_slowed_and_recorded(ada: User, secret: bytes) -> None:
    client = browser()
    sign_in(client)
    answers = [client.post(SECOND, {"code": "000000"}) for _ in range(12)]
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 429
    assert "Retry-After" in answers[-1].headers
    assert client.post(SECOND, {"code": code(secret)}).status_code == 429  # a right one, too
    refusals.flush()
    left = [orjson.loads(body) for body in Entry.objects.values_list("body", flat=True)]
    assert ("user:ada", "refused") in {(one.get("object"), one.get("outcome")) for one in left}
    assert not SignedIn.objects.exists()


def test_a_recovery_code_opens_something_once(ada: User) -> None:
    first, *others = factors.renew_codes(ada)
    for client, status in ((browser(), 302), (browser(), 200)):
        sign_in(client)
        assert client.post(SECOND, {"code": first.upper()}).status_code == status
    assert len(Factor.objects.get(kind="codes").codes) == len(others) == factors.CODES - 1
    stored = str(list(Factor.objects.values_list("codes", flat=True)))
    assert others[0].replace("-", "") not in stored


def test_the_database_alone_opens_nothing(ada: User, secret: bytes, settings: Any) -> None:
    sealed = bytes(Factor.objects.get(kind="totp").sealed)
    assert secret not in sealed
    assert factors.shown(secret).encode() not in sealed
    assert sealing.unseal(sealed) == secret
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another" * 8
    assert sealing.unseal(sealed) == secret
    settings.SECRET_KEY_FALLBACKS = []
    client = browser()
    sign_in(client)
    assert client.post(SECOND, {"code": code(secret)}).status_code == 200  # nobody can tell: refused


def test_what_is_pending_ends(ada: User, secret: bytes, monkeypatch: Any) -> None:
    def stale(change: Any) -> int:
        client = browser()
        sign_in(client)
        change()
        return client.post(SECOND, {"code": code(secret)}).headers.get("Location") == LOGIN

    def later() -> None:
        real = time.time()
        monkeypatch.setattr(flow.time, "time", lambda: real + flow.PENDING_FOR + 5)

    assert stale(lambda: User.objects.filter(pk=ada.pk).update(is_active=False))
    User.objects.filter(pk=ada.pk).update(is_active=True)
    assert stale(lambda: User.objects.filter(pk=ada.pk).update(password="another"))
    ada.save()
    assert stale(later)


def test_who_has_no_second_factor_signs_in_as_before() -> None:
    User.objects.create_superuser("ben", password=PASSWORD)
    client = browser()
    assert sign_in(client, "ben").headers["Location"] == "/admin/"
    assert let_in(client) == [200] * 4


@pytest.mark.parametrize("roles", [["*", "none"], ["viewer"]])
def test_a_role_that_needs_one_sets_it_up_before_it_comes_in(settings: Any, roles: list[str]) -> None:
    settings.ERIP_SECOND_FACTOR_ROLES = roles
    user = User.objects.create_user("ben", password=PASSWORD, is_staff=True, is_superuser="*" in roles)
    Grant.objects.create(user=user, role="viewer")
    client = browser()
    sign_in(client, "ben")
    assert let_in(client) == [302, 401, 302, 302]

    page = client.get(SECOND)
    shown = re.search(r"<code[^>]*>([A-Z2-7]{32})</code>", page.content.decode())[1]
    assert "data:image/svg+xml" in page.content.decode()
    assert client.post(SECOND, {"code": "000000"}).status_code == 200
    assert let_in(client) == [302, 401, 302, 302]
    done = client.post(SECOND, {"code": code(base64.b32decode(shown))})

    codes = done.context["codes"]
    assert len(codes) == factors.CODES
    assert all(one in done.content.decode() for one in codes)
    assert "no-store" in done.headers["Cache-Control"]
    assert client.get("/admin/").status_code == 200
    # And cannot be rid of it again.
    client.post(SECURITY, {"remove": ""})
    assert factors.has(user)


def test_another_role_is_not_asked(settings: Any) -> None:
    settings.ERIP_SECOND_FACTOR_ROLES = ["operator"]
    user = User.objects.create_user("ben", password=PASSWORD, is_staff=True)
    Grant.objects.create(user=user, role="viewer")
    assert sign_in(browser(), "ben").headers["Location"] == "/admin/"


def test_a_person_sets_one_up_renews_its_codes_and_removes_it() -> None:
    user = User.objects.create_superuser("ben", password=PASSWORD)
    client = browser()
    sign_in(client, "ben")
    page = client.get(SET_UP).content.decode()
    shown = re.search(r"<code[^>]*>([A-Z2-7]{32})</code>", page)[1]
    assert shown in client.get(SET_UP).content.decode()  # loaded twice
    assert client.post(SET_UP, {"code": code(base64.b32decode(shown))}).status_code == 200
    assert factors.has(user)
    before = Factor.objects.get(kind="codes").codes
    assert client.post(SECURITY, {"codes": ""}).status_code == 200
    assert not set(before) & set(Factor.objects.get(kind="codes").codes)
    client.post(SECURITY, {"remove": ""})
    assert not factors.has(user)


# --- sessions


def test_a_person_ends_their_other_sessions_and_nobody_elses(ada: User, secret: bytes) -> None:
    here, there, others = browser(), browser(), browser()
    for client in (here, there):
        client.force_login(ada, backend=BACKEND)
    others.force_login(User.objects.create_superuser("ben", password=PASSWORD), backend=BACKEND)
    theirs = SignedIn.objects.get(user__username="ben")
    mine = SignedIn.objects.exclude(session_key=here.session.session_key).get(user=ada)
    assert here.get(SECURITY).content.decode().count('name="end"') == 1

    for number in (theirs.pk, "9" * 18, "x", "-1"):
        here.post(SECURITY, {"end": number})
    assert there.get("/admin/").status_code == others.get("/admin/").status_code == 200
    here.post(SECURITY, {"end": mine.pk})
    viewers.forget()
    assert let_in(there)[:3] == [302, 401, 302]
    assert here.get("/admin/").status_code == 200
    there.force_login(ada, backend=BACKEND)
    here.post(SECURITY, {"end_others": "1"})
    assert Session.objects.count() == SignedIn.objects.count() == 2
    assert here.get("/admin/").status_code == others.get("/admin/").status_code == 200


def test_a_session_that_goes_on_after_a_new_password_is_still_known(ada: User) -> None:
    client = browser()
    client.force_login(ada, backend=BACKEND)
    new = "another-long-password"
    form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}

    assert client.post("/admin/password_change/", form).status_code == 302

    assert client.get("/admin/").status_code == 200
    assert SignedIn.objects.get().session_key == client.session.session_key
    call_command("sign_ins", "end", "ada", stdout=StringIO())
    assert client.get("/admin/").status_code == 302


def test_no_filter_of_the_page_of_sessions_tells_their_keys(ada: User) -> None:
    client = browser()
    client.force_login(ada, backend=BACKEND)
    key = SignedIn.objects.get().session_key
    for lookup in ("session_key", "session_key__startswith", "session_key__gte", "session_key__regex"):
        answer = client.get("/admin/access/signedin/", {lookup: key[0]})
        assert answer.status_code == 400, lookup
    for lookup in ("second_factor__exact", "address__startswith"):
        assert client.get("/admin/access/signedin/", {lookup: "0"}).status_code == 200


def test_a_sign_in_over_another_session_is_noted_and_the_one_before_is_over(ada: User) -> None:
    client = browser()
    for name in ("ben", "eva"):
        User.objects.create_superuser(name, password=PASSWORD)
        sign_in(client, name)
        row = SignedIn.objects.get(user__username=name)
        assert row.session_key == client.session.session_key
        assert Session.objects.count() == 1
    sign_in(client)  # ada's second factor is asked for: nobody's session until it is shown
    assert not SignedIn.objects.filter(session_key=client.session.session_key).exists()


def test_a_session_that_is_used_for_longer_than_its_age_can_still_be_ended(ada: User) -> None:
    old, new = browser(), browser()
    old.force_login(ada, backend=BACKEND)
    SignedIn.objects.create(user=ada, session_key="gone")
    SignedIn.objects.update(at=timezone.now() - timedelta(days=999))
    new.force_login(ada, backend=BACKEND)
    assert set(SignedIn.objects.values_list("session_key", flat=True)) == {
        old.session.session_key,
        new.session.session_key,
    }


def test_nobody_uses_up_attempts_at_a_second_factor_by_its_name(ada: User, secret: bytes) -> None:
    for name in (f"second factor of {ada.pk}", f"\0second factor of {ada.pk}"):
        for _ in range(12):
            browser().post(LOGIN, {"username": name, "password": "x"})
    request = RequestFactory().post(SECOND)
    assert logins.account_of(f"second factor of {ada.pk}") in counted()
    account = logins.account_of(f"\0second factor of {ada.pk}")
    assert account not in counted()
    assert factors.check(request, ada, code(secret))
    assert account in counted()


def counted() -> set[str]:
    return set(LoginCounter.objects.values_list("account", flat=True))


def test_a_security_admin_ends_other_peoples_sessions_and_removes_lost_factors(ada: User) -> None:
    ben = User.objects.create_user("ben", password=PASSWORD, is_staff=True)
    factors.enrol(ben, secret := factors.new_secret(), code(secret))
    victim, admin = browser(), browser()
    victim.force_login(ben, backend=BACKEND)
    sec = User.objects.create_user("sec", password=PASSWORD, is_staff=True)
    admin.force_login(sec, backend=BACKEND)
    row = SignedIn.objects.get(user=ben)
    ended = {"action": "end_selected", "_selected_action": [row.pk]}
    assert admin.post("/admin/access/signedin/", ended).status_code == 403
    Grant.objects.create(user=sec, role="security-admin")

    admin.post("/admin/access/signedin/", ended)

    assert victim.get("/admin/").status_code == 302
    for user, left in ((ben, False), (ada, True)):  # nobody touches somebody who may do more than they may
        admin.post("/admin/auth/user/", {"action": "reset_second_factor", "_selected_action": [user.pk]})
        assert factors.has(user) == left


def test_the_command_helps_who_is_locked_out(ada: User) -> None:
    client, out = browser(), StringIO()
    client.force_login(ada, backend=BACKEND)
    page = (ROOT / "docs" / "how-to" / "sign-in.md").read_text("utf-8")
    lines = [line.split()[1:] for line in page.splitlines() if line.startswith("manage.py ")]
    for line in lines:
        call_command(*line, stdout=out)
    assert len(lines) == 3
    assert out.getvalue().startswith("ada ")
    assert client.get("/admin/").status_code == 302
    assert not factors.has(ada)


# --- once more, before what is dangerous


def dangerous(client: Client) -> list[int]:
    key = ApiKey.objects.first().pk
    by_api = client.patch(f"/api/v1/keys/{key}", {"rate": 7}, "application/json").status_code
    return [by_api, client.post("/admin/access/space/add/", {"name": f"s{time.time_ns()}"}).status_code]


def test_what_is_dangerous_asks_for_the_second_factor_again(ada: User, secret: bytes, settings: Any) -> None:
    keys.create(name="ci", scope="viewer")
    client = browser()
    client.force_login(ada, backend=BACKEND)  # a session from before they had one

    refused = client.patch(f"/api/v1/keys/{ApiKey.objects.get().pk}", {"rate": 7}, "application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "step-up-needed")
    sent = client.post("/admin/access/space/add/", {"name": "north"})
    assert sent.headers["Location"].startswith(f"{PROVE}?next=%2Fadmin%2Faccess%2Fspace%2Fadd%2F")
    assert (ApiKey.objects.get().rate, client.get("/admin/access/space/").status_code) == (None, 200)
    assert client.post("/api/v1/runs/cancel", {"filter": {"ids": []}}, "application/json").status_code == 422

    assert client.post(PROVE, {"code": code(secret), "next": "/admin/access/space/"}).status_code == 302
    assert dangerous(client) == [200, 302]
    assert ApiKey.objects.get().rate == 7
    session = client.session
    session["erip_proved_at"] = int(time.time()) - 11 * 60
    session.save()
    assert dangerous(client)[0] == 403
    settings.ERIP_STEP_UP_MINUTES = 0.0
    assert dangerous(client)[0] == 200


def test_a_session_from_before_the_role_needed_a_factor_sets_one_up_first(settings: Any) -> None:
    keys.create(name="ci", scope="viewer")
    client = browser()
    client.force_login(User.objects.create_superuser("ben", password=PASSWORD), backend=BACKEND)
    settings.ERIP_SECOND_FACTOR_ROLES = ["platform-admin"]
    sent = client.post("/admin/access/space/add/", {"name": "north"})
    refused = client.patch(f"/api/v1/keys/{ApiKey.objects.get().pk}", {"rate": 7}, "application/json")
    assert (sent.headers["Location"], Space.objects.filter(name="north").exists()) == (SET_UP, False)
    assert (refused.status_code, refused.json()["code"], SET_UP in refused.content.decode()) == (
        403,
        "step-up-needed",
        True,
    )
    shown = re.search(r"<code[^>]*>([A-Z2-7]{32})</code>", client.get(SET_UP).content.decode())[1]
    assert client.post(SET_UP, {"code": code(base64.b32decode(shown))}).status_code == 200
    assert dangerous(client) == [200, 302]


def test_a_word_of_a_key_does_not_spare_a_session_the_question(ada: User) -> None:
    keys.create(name="ci", scope="viewer")
    client = browser()
    client.force_login(ada, backend=BACKEND)
    for bearer in ("Bearer x", "bearer erip_abcdefgh_0"):
        given = {"Authorization": bearer}
        sent = client.post("/admin/access/space/add/", {"name": "north"}, headers=given)
        assert sent.headers["Location"].startswith(PROVE)
        # At the API the key counts, and nothing else.
        one = f"/api/v1/keys/{ApiKey.objects.get().pk}"
        assert client.patch(one, {"rate": 7}, "application/json", headers=given).status_code == 401
    assert (Space.objects.filter(name="north").exists(), ApiKey.objects.get().rate) == (False, None)


def test_every_page_of_what_a_dangerous_permission_is_about_is_dangerous() -> None:
    names = {one.name for one in declared() if one.dangerous}
    about = {
        model._meta.label_lower: bool(getattr(page, "dangerous", False))
        for model, page in all_pages().items()
        for verb in ("add", "change", "delete")
        if f"{model._meta.app_label}.{verb}_{model._meta.model_name}" in names
    }
    assert about["secrets.secret"]
    assert [name for name, dangerous in about.items() if not dangerous] == []


def test_keys_and_people_without_a_second_factor_are_not_asked_again() -> None:
    keys.create(name="ci", scope="viewer")
    client = browser()
    client.force_login(User.objects.create_superuser("ben", password=PASSWORD), backend=BACKEND)
    assert dangerous(client) == [200, 302]


def test_every_page_that_gives_access_is_dangerous() -> None:
    marked = {model._meta.label_lower for model, page in all_pages().items() if getattr(page, "dangerous", False)}
    given = {one.name for one in declared() if one.dangerous}
    assert {"access.apikey", "access.grant", "access.role", "access.space", "auth.user", "auth.group"} <= marked
    assert {"access.add_apikey", "access.change_apikey", "access.delete_apikey", "access.add_grant"} <= given
    assert {"secrets.change_secret", "privacy.open_data", "privacy.erase_person"} <= given
    assert reverse("admin:step_up") == PROVE
