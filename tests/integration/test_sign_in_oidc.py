"""Sign-in at a provider that speaks OpenID Connect, over HTTP: who comes in, what they may do, and every way in which a
provider, or somebody between, may lie."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.test import Client
from django.utils import timezone

from erip.access.flags import asking as asking_flags
from erip.access.flags import stored as flags
from erip.access.models import Grant, Identity, SignedIn, Space, UsedOnce
from erip.access.sign_in import factors
from erip.access.sign_in.providers import asking, oidc
from erip.access.sign_in.providers.configured import BadProviders, configured
from erip.access.sign_in.providers.shown import Away
from erip.access.tokens.signing_keys import signing_keys
from erip.audit import refusals
from erip.audit.models import Entry
from erip.ops.stack.state import ROOT
from tests.integration.test_sign_in import (
    BACKEND,
    PASSWORD,
    PROVE,
    SECOND,
    SECURITY,
    SET_UP,
    browser,
    code,
    let_in,
    sign_in,
)
from tests.support.provider import CLIENT, SECRET, OidcServer

pytestmark = pytest.mark.django_db
HOME = "http://127.0.0.1:8000"
GO, BACK = "/admin/sign-in/corp/", "/admin/sign-in/corp/returned"
ENDED, LINKED = "/admin/sign-in/corp/ended", "/admin/sign-in/corp/linked"


@pytest.fixture(scope="module")
def server() -> Iterator[OidcServer]:
    made = OidcServer()
    yield made
    made.close()


@pytest.fixture
def provider(server: OidcServer, settings: Any, tmp_path: Path) -> OidcServer:
    (tmp_path / "secret").write_text(f"{SECRET}\n", "utf-8")
    server.reset()
    server.asked.clear()
    server.secret = str(tmp_path / "secret")  # type: ignore[attr-defined]
    settings.ERIP_PUBLIC_URL = HOME
    settings.ERIP_SIGN_IN_PROVIDERS = setting(server)
    oidc.forget()
    signing_keys.forget()
    return server


def setting(server: OidcServer, **more: Any) -> str:
    one = {
        "name": "corp", "title": "Corp", "protocol": "oidc", "issuer": server.url, "client_id": CLIENT,
        "client_secret_file": server.secret, "create": True,  # type: ignore[attr-defined]
        "roles": [
            {"group": "risk-ops", "role": "operator"},
            {"group": "risk-ops", "role": "viewer", "space": "north"},
            {"group": "admins", "role": "security-admin"},
        ],
    }  # fmt: skip
    return json.dumps([{**one, **more}])


def sent_back(client: Client, start: str = GO) -> str:
    """Go to the provider as a browser does. Returns the address to which it sends the browser back."""
    begun = client.get(start)
    assert begun.status_code == 302, begun.content.decode()[:2000]
    back = httpx.get(begun.headers["Location"]).headers["Location"]
    assert back.startswith(f"{HOME}{BACK}?")
    return back.removeprefix(HOME)


def comes_in(client: Client, start: str = GO) -> Any:
    return client.get(sent_back(client, start))


def grants(user: str = "ada") -> set[tuple[str, str, str]]:
    return set(Grant.objects.filter(user__username=user).values_list("role", "space", "granted_by"))


def entries() -> list[dict[str, Any]]:
    refusals.flush()
    return [orjson.loads(body) for body in Entry.objects.order_by("id").values_list("body", flat=True)]


def linked_ada(provider: OidcServer) -> User:
    user = User.objects.create_user("ada", password=PASSWORD, is_staff=True)
    Identity.objects.create(user=user, provider="corp", issuer=provider.url, subject="00u1")
    return user


def test_somebody_new_gets_an_account_with_the_roles_of_their_groups(provider: OidcServer) -> None:
    Space.objects.create(name="north")
    provider.claims["groups"] = ["risk-ops", "something else"]
    client = browser()
    assert GO in client.get("/admin/login/").content.decode()

    answer = comes_in(client, f"{GO}?next=/admin/access/space/")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/access/space/")
    user = User.objects.get(username="ada")
    assert (user.email, user.first_name, user.has_usable_password(), user.is_superuser) == (
        "ada@example.org", "Ada L", False, False,
    )  # fmt: skip
    assert grants() == {("operator", "", "provider:corp"), ("viewer", "north", "provider:corp")}
    assert let_in(client) == [200] * 4
    assert SignedIn.objects.get().provider == "corp"
    # Refusals of tests before this one may be counted still.
    found = [one for one in entries() if one["action"] == "sign-in: provider" and one.get("outcome") != "refused"]
    (entry,) = found
    assert (entry["principal"], entry["object"], entry["provider"]) == ("user:ada", "user:ada", "corp")
    assert provider.asked[-1]["code_challenge_method"] == "S256"
    # Again: the same account.
    assert comes_in(browser()).status_code == 302
    assert User.objects.count() == 1


def test_roles_go_with_the_group_and_what_was_granted_by_hand_stays(provider: OidcServer) -> None:
    Space.objects.create(name="north")
    user = linked_ada(provider)
    Grant.objects.create(user=user, role="operator", granted_by="user:eva")
    Grant.objects.create(user=user, role="viewer", granted_by="user:eva")
    provider.claims["groups"] = ["risk-ops", "admins"]
    comes_in(browser())
    by_hand = {("operator", "", "user:eva"), ("viewer", "", "user:eva")}
    assert grants() == by_hand | {("viewer", "north", "provider:corp"), ("security-admin", "", "provider:corp")}

    provider.claims["groups"] = "risk-ops"  # one alone, as some providers write it
    comes_in(browser())
    assert grants() == by_hand | {("viewer", "north", "provider:corp")}
    # It cannot name them all: unknown is not no.
    provider.claims |= {"groups": None, "_claim_names": {"groups": "src1"}}
    comes_in(browser())
    assert grants() == by_hand | {("viewer", "north", "provider:corp")}
    provider.claims.pop("_claim_names")
    client = browser()
    comes_in(client)
    assert grants() == by_hand
    assert client.get("/admin/").status_code == 200


def test_roles_end_by_themselves_for_who_does_not_come_again(provider: OidcServer, settings: Any) -> None:
    settings.ERIP_SIGN_IN_PROVIDERS = setting(provider, keep_roles_hours=12)
    provider.claims["groups"] = ["admins"]
    client = browser()
    comes_in(client)
    end = Grant.objects.get().expires_at
    assert timedelta(hours=11) < end - timezone.now() <= timedelta(hours=12)
    Grant.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.get("/admin/auth/user/").status_code == 403
    comes_in(client)  # and are given anew
    assert client.get("/admin/auth/user/").status_code == 200


def test_a_role_or_a_space_that_does_not_exist_gives_nothing(provider: OidcServer, settings: Any) -> None:
    roles = [{"group": "g", "role": "none-such"}, {"group": "g", "role": "viewer", "space": "none-such"}]
    settings.ERIP_SIGN_IN_PROVIDERS = setting(provider, roles=roles)
    provider.claims["groups"] = ["g"]
    assert comes_in(browser()).status_code == 302
    assert grants() == set()


@pytest.mark.parametrize(
    "theirs",
    [{"username": "ada"}, {"username": "ADA"}, {"username": "x", "email": "ADA@example.org"}],
    ids=["name", "name in capitals", "address"],
)
def test_nobody_takes_over_an_account_by_its_name_or_address(provider: OidcServer, theirs: dict[str, str]) -> None:
    owner = User.objects.create_superuser(password=PASSWORD, **theirs)
    client = browser()
    answer = comes_in(client)
    assert answer.status_code == 403
    assert "here already" in answer.content.decode()
    assert let_in(client) == [302, 401, 302, 302]
    assert not Identity.objects.exists()
    assert User.objects.get() == owner


def test_a_name_in_another_form_of_its_letters_is_the_same_name(provider: OidcServer) -> None:
    owner = User.objects.create_user("ADA", password=PASSWORD)
    provider.claims["preferred_username"] = "\N{FULLWIDTH LATIN SMALL LETTER A}da"
    assert comes_in(browser()).status_code == 403
    assert User.objects.get() == owner


def test_where_accounts_are_not_made_only_who_is_linked_comes_in(provider: OidcServer, settings: Any) -> None:
    settings.ERIP_SIGN_IN_PROVIDERS = setting(provider, create=False)
    client = browser()
    answer = comes_in(client)
    assert (answer.status_code, "Your security" in answer.content.decode()) == (403, True)
    assert not User.objects.exists()
    user = User.objects.create_user("eva", password=PASSWORD, is_staff=True)
    call_command("sign_ins", "link", "eva", "corp", "00u1", stdout=StringIO())
    assert comes_in(client).status_code == 302
    assert SignedIn.objects.get().user == user
    for wrong in (["eva", "none", "x"], ["eva", "corp", ""], ["nobody", "corp", "x"]):
        with pytest.raises(CommandError):
            call_command("sign_ins", "link", *wrong)
    User.objects.create_user("ben", is_staff=True)
    with pytest.raises(CommandError, match="another account"):
        call_command("sign_ins", "link", "ben", "corp", "00u1")
    call_command("sign_ins", "unlink", "eva", "corp", stdout=StringIO())
    assert comes_in(browser()).status_code == 403


@pytest.mark.parametrize("closed", [{"is_active": False}, {"is_staff": False}])
def test_a_closed_account_stays_closed(provider: OidcServer, closed: dict[str, bool]) -> None:
    user = linked_ada(provider)
    User.objects.filter(pk=user.pk).update(**closed)
    client = browser()
    assert comes_in(client).status_code == 403
    assert let_in(client) == [302, 401, 302, 302]


@pytest.mark.parametrize("name", ["", "a b", "x" * 151, "a\0b", None, 7, ["ada"], "\u202eada", "<script>"])
def test_a_name_that_cannot_be_one_makes_no_account(provider: OidcServer, name: Any) -> None:
    provider.claims["preferred_username"] = name
    answer = comes_in(browser())
    assert answer.status_code == 403
    assert not User.objects.exists()


# --- what is not believed


def unsigned(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, None, "none", {"kid": "one"})


def by_another(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, rsa.generate_private_key(65537, 2048), "RS256", {"kid": "one"})


def by_shared_secret(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, SECRET * 2, "HS256", {"kid": "one"})


LIES: dict[str, dict[str, Any]] = {
    "nonce of another": {"nonce": "x"}, "no nonce": {"nonce": None}, "another issuer": {"iss": "https://evil.example"},
    "another audience": {"aud": "other"}, "no audience": {"aud": None}, "many, and no azp": {"aud": [CLIENT, "other"]},
    "another azp": {"azp": "other"}, "over": {"exp": 1}, "no end": {"exp": None},
    "of the future": {"iat": 9_999_999_999},
    "nobody": {"sub": None}, "an empty subject": {"sub": ""}, "a long subject": {"sub": "x" * 256},
    "a subject that is a list": {"sub": ["00u1"]}, "end is text": {"exp": "soon"}, "nonce is a list": {"nonce": ["x"]},
}  # fmt: skip
FORGED = {"none": unsigned, "another key": by_another, "a shared secret": by_shared_secret, "no JWT": lambda _: "a.b.c"}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_token_that_says_anything_wrong_opens_nothing(provider: OidcServer, lie: dict[str, Any]) -> None:
    user = linked_ada(provider)
    provider.wrong = lie
    client = browser()
    assert comes_in(client).status_code == 403
    assert let_in(client) == [302, 401, 302, 302]
    assert User.objects.get() == user
    assert ("sign-in: provider", "refused") in {(one["action"], one.get("outcome")) for one in entries()}


@pytest.mark.parametrize("sign", FORGED.values(), ids=FORGED)
def test_a_token_that_another_signed_opens_nothing(provider: OidcServer, sign: Any) -> None:
    linked_ada(provider)
    provider.sign = sign
    client = browser()
    assert comes_in(client).status_code == 403
    assert let_in(client)[0] == 302


def test_a_state_counts_once_and_in_the_browser_that_asked(provider: OidcServer) -> None:
    linked_ada(provider)
    mine, theirs = browser(), browser()
    back = sent_back(mine)
    assert theirs.get(back).status_code == 403  # an answer that was slipped to somebody
    sent_back(theirs)
    assert theirs.get(back).status_code == 403
    cookie = mine.cookies[asking.COOKIE].value
    exchanges = provider.exchanges
    assert mine.get(back).status_code == 302
    assert provider.exchanges == exchanges + 1
    again = browser()
    again.cookies[asking.COOKIE] = cookie  # with its cookie, too
    assert again.get(back).status_code == 403
    assert provider.exchanges == exchanges + 1
    # A code that was used, with a question of one's own.
    used = parse_qs(urlsplit(back).query)["code"][0]
    mine = browser()
    state = parse_qs(urlsplit(sent_back(mine)).query)["state"][0]
    assert mine.get(f"{BACK}?{urlencode({'code': used, 'state': state})}").status_code == 403
    assert let_in(mine)[0] == let_in(again)[0] == let_in(theirs)[0] == 302


def test_a_question_ends(provider: OidcServer, monkeypatch: Any) -> None:
    client = browser()
    back = sent_back(client)
    real = time.time()
    monkeypatch.setattr(asking.time, "time", lambda: real + asking.SECONDS + 5)
    assert client.get(back).status_code == 403


@pytest.mark.parametrize(
    "query", ["", "state=x", "code=x", "state=%00", "state=%ED%A0%80&code=x", "error=x", "state=" + "x" * 5000]
)
def test_no_address_is_an_error_of_ours(provider: OidcServer, query: str) -> None:
    for cookie in ("", "x", "\x7f" * 50):
        client = browser()
        client.cookies[asking.COOKIE] = cookie
        assert client.get(f"{BACK}?{query}").status_code == 403
    assert browser().get("/admin/sign-in/none/returned").status_code == 404


@pytest.mark.parametrize(
    "next", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example", "\\\\x"]
)
def test_nobody_is_sent_elsewhere_afterwards(provider: OidcServer, next: str) -> None:
    linked_ada(provider)
    assert comes_in(browser(), f"{GO}?{urlencode({'next': next})}").headers["Location"] == "/admin/"


def test_the_provider_says_no_and_nothing_of_it_is_markup(provider: OidcServer) -> None:
    provider.error = "<script>alert(1)</script>"
    answer = comes_in(browser())
    assert answer.status_code == 403
    assert "<script>alert" not in answer.content.decode()


def test_an_answer_in_the_name_of_another_provider_is_refused(provider: OidcServer) -> None:
    linked_ada(provider)
    client = browser()
    back = sent_back(client)
    assert client.get(f"{back}&iss=https%3A%2F%2Fevil.example").status_code == 403
    provider.tampered = {"authorization_response_iss_parameter_supported": True}
    oidc.forget()
    assert comes_in(client).status_code == 403
    back = sent_back(client)
    assert client.get(f"{back}&{urlencode({'iss': provider.url})}").status_code == 302


@pytest.mark.parametrize(
    "tampered",
    [{"issuer": "https://evil.example"}, {"token_endpoint": "http://evil.example/"}, {"authorization_endpoint": None}],
)
def test_a_document_that_is_not_the_providers_is_not_followed(provider: OidcServer, tampered: dict[str, Any]) -> None:
    provider.tampered = tampered
    assert browser().get(GO).status_code == 503


def test_a_provider_that_does_not_answer_is_said_so_and_asked_again_later(provider: OidcServer) -> None:
    linked_ada(provider)
    provider.up = False
    client = browser()
    assert client.get(GO).status_code == 503
    provider.up = True
    assert client.get(GO).status_code == 503  # not at every request
    oidc.forget()
    back = sent_back(client)
    provider.up = False
    assert client.get(back).status_code == 503
    assert sign_in(client).headers["Location"] == "/admin/"  # the password still opens


def test_a_provider_that_hangs_keeps_nobody_from_signing_in_at_another(provider: OidcServer, settings: Any) -> None:
    one = json.loads(setting(provider))[0]
    settings.ERIP_SIGN_IN_PROVIDERS = json.dumps([one, {**one, "name": "slow", "issuer": "http://127.0.0.1:9"}])
    found = configured()
    with ExitStack() as taken:
        for _ in range(oidc.AT_ONCE):
            taken.enter_context(oidc._place(found["slow"]))
        with pytest.raises(Away):
            taken.enter_context(oidc._place(found["slow"]))
        assert browser().get(GO).status_code == 302
    with ExitStack() as taken:
        for _ in range(oidc.AT_ONCE):
            taken.enter_context(oidc._place(found["corp"]))
        oidc.forget()
        assert browser().get(GO).status_code == 503


def test_an_answer_that_the_provider_did_not_give_costs_no_row(provider: OidcServer) -> None:
    linked_ada(provider)
    for wrong in ({"code": "made-up"}, {"error": "access_denied"}, {"code": "x", "iss": "https://evil.example"}, {}):
        client = browser()
        state = parse_qs(urlsplit(client.get(GO).headers["Location"]).query)["state"][0]
        assert client.get(f"{BACK}?{urlencode({'state': state, **wrong})}").status_code == 403
    assert UsedOnce.objects.count() == 0


def test_who_is_in_very_many_groups_keeps_all_their_roles(provider: OidcServer) -> None:
    linked_ada(provider)
    provider.claims["groups"] = [f"{number}" for number in range(5_100)] + ["risk-ops"]
    assert comes_in(browser()).status_code == 302
    assert ("operator", "", "provider:corp") in grants()


def test_a_stranger_who_has_keys_read_waits_in_no_thread_beyond_those_that_may(provider: OidcServer) -> None:
    token = provider.logout_token()
    with ExitStack() as taken:
        for _ in range(oidc.AT_ONCE):
            taken.enter_context(oidc._place(configured()["corp"]))
        assert browser().post(ENDED, {"logout_token": token}).status_code == 503
    assert browser().post(ENDED, {"logout_token": token}).status_code == 200


def test_a_secret_that_cannot_be_read_or_is_wrong_opens_nothing(provider: OidcServer, tmp_path: Path) -> None:
    linked_ada(provider)
    Path(provider.secret).write_text("wrong", "utf-8")  # type: ignore[attr-defined]
    assert comes_in(browser()).status_code == 403
    Path(provider.secret).unlink()  # type: ignore[attr-defined]
    assert comes_in(browser()).status_code == 503


def test_who_is_switched_off_lets_nobody_in_and_is_still_heard_when_somebody_signs_out_there(
    provider: OidcServer,
) -> None:
    linked_ada(provider)
    back = sent_back(browser())
    flags.put("sign-in-by-provider", flags.Wanted(off_for=["provider:corp"]), by="test")
    asking_flags.forget()  # the test's transaction is not committed
    for address in (GO, back, f"{GO}?link", f"{GO}metadata"):
        answer = browser().get(address)
        assert (answer.status_code, "switched off" in answer.content.decode()) == (503, True), address
    assert browser().post(ENDED, {"logout_token": provider.logout_token(sid="one")}).status_code == 200
    assert "SWITCHED" not in browser().get("/admin/login/").content.decode().upper()
    flags.reset("sign-in-by-provider")
    asking_flags.forget()
    assert comes_in(browser()).status_code == 302


# --- second factors


def test_whose_second_factor_is_here_shows_it_here(provider: OidcServer, settings: Any) -> None:
    user = linked_ada(provider)
    secret = factors.new_secret()
    assert factors.enrol(user, secret, code(secret, -1))
    provider.claims |= {"amr": ["mfa"], "acr": "gold"}  # which counts only where the setting says so
    client = browser()
    assert comes_in(client, f"{GO}?next=/admin/access/space/").headers["Location"] == SECOND
    assert let_in(client) == [302, 401, 302, 302]
    assert client.post(SECOND, {"code": code(secret)}).headers["Location"] == "/admin/access/space/"
    row = SignedIn.objects.get()
    assert (row.second_factor, row.provider) == (True, "corp")

    for counts in ({"amr": ["hwk", "mfa"]}, {"acr": ["gold"]}):
        settings.ERIP_SIGN_IN_PROVIDERS = setting(provider, second_factor=counts)
        client = browser()
        assert comes_in(client).headers["Location"] == "/admin/"
        assert SignedIn.objects.get(session_key=client.session.session_key).second_factor
    provider.claims |= {"amr": "pwd", "acr": ["silver"]}
    assert comes_in(browser()).headers["Location"] == SECOND


def test_a_role_that_needs_a_second_factor_needs_it_of_a_providers_people_too(
    provider: OidcServer, settings: Any
) -> None:
    settings.ERIP_SECOND_FACTOR_ROLES = ["security-admin"]
    provider.claims["groups"] = ["admins"]
    client = browser()
    assert comes_in(client).headers["Location"] == SECOND
    assert "Set up a second factor" in client.get(SECOND).content.decode()
    assert let_in(client) == [302, 401, 302, 302]
    settings.ERIP_SIGN_IN_PROVIDERS = setting(provider, second_factor={"amr": ["mfa"]})
    provider.claims["amr"] = ["mfa"]
    client = browser()
    assert comes_in(client).headers["Location"] == "/admin/"


def test_before_what_is_dangerous_the_second_factor_is_shown_at_the_provider(
    provider: OidcServer, settings: Any
) -> None:
    settings.ERIP_SIGN_IN_PROVIDERS = setting(provider, second_factor={"amr": ["mfa"]})
    provider.claims |= {"groups": ["admins"], "amr": ["mfa"]}
    client = browser()
    comes_in(client)

    def dangerous() -> str:
        held = client.session
        held["erip_proved_at"] = int(time.time()) - 999
        held.save()
        return client.post("/admin/access/space/add/", {"name": "north"}).headers["Location"]

    assert dangerous().startswith(PROVE)
    page = client.get(f"{PROVE}?next=/admin/access/space/").content.decode()
    assert f"{GO}?prove=1&amp;next=/admin/access/space/" in page
    prove = f"{GO}?prove=1&next=/admin/access/space/"
    for lie in ({"sub": "another"}, {"amr": ["pwd"]}, {"auth_time": int(time.time()) - 600}, {"auth_time": None}):
        provider.wrong = lie
        assert comes_in(client, prove).status_code == 403
        assert dangerous().startswith(PROVE)
    provider.wrong = {}
    assert comes_in(client, prove).headers["Location"] == "/admin/access/space/"
    assert (provider.asked[-1]["prompt"], provider.asked[-1]["max_age"]) == ("login", "0")
    assert client.post("/admin/access/space/add/", {"name": "north"}).headers["Location"] == "/admin/access/space/"


@pytest.mark.parametrize("long_ago", [{"auth_time": 1}, {"auth_time": None}, {"auth_time": "x"}, {"auth_time": 1e300}])
def test_a_sign_in_that_the_provider_asked_nothing_for_is_no_second_factor_shown_now(
    provider: OidcServer, settings: Any, long_ago: dict[str, Any]
) -> None:
    settings.ERIP_SIGN_IN_PROVIDERS = setting(provider, second_factor={"amr": ["mfa"]})
    provider.claims |= {"groups": ["admins"], "amr": ["mfa"]}
    provider.wrong = long_ago
    client = browser()
    assert comes_in(client).headers["Location"] == "/admin/"
    assert SignedIn.objects.get().second_factor
    assert client.post("/admin/access/space/add/", {"name": "north"}).headers["Location"].startswith(PROVE)
    assert not Space.objects.exists()
    # Nor is it enough for another way in, which would prove anything from then on.
    doors = [("get", SET_UP), ("get", "/admin/security/keys/add/"), ("get", f"{GO}?link=1")]
    doors += [("post", SET_UP), ("post", "/admin/security/keys/add/")]
    for method, path in doors:
        assert getattr(client, method)(path).headers["Location"].startswith(PROVE), path
    assert client.post(SECURITY, {"unlink": Identity.objects.get().pk}).headers["Location"].startswith(PROVE)
    assert Identity.objects.exists()
    provider.wrong = {}
    comes_in(client)
    assert client.get(SET_UP).status_code == 200


def test_whose_second_factor_is_at_a_provider_does_not_begin_with_another_one_by_the_password(
    provider: OidcServer, settings: Any
) -> None:
    linked_ada(provider)
    settings.ERIP_SECOND_FACTOR_ROLES = ["*"]
    settings.ERIP_SIGN_IN_PROVIDERS = setting(provider, second_factor={"amr": ["mfa"]})
    client = browser()
    assert sign_in(client).headers["Location"] == SECOND
    for path in (SECOND, f"{SECOND}key/"):
        for answer in (client.get(path), client.post(path, {"code": "123456", "name": "mine"})):
            assert answer.status_code == 403
            assert "Corp" in answer.content.decode()
    assert let_in(client) == [302, 401, 302, 302]
    # Who comes from the provider, which did not say that they showed one, sets one up here.
    assert comes_in(client).headers["Location"] == SECOND
    assert "Set up a second factor" in client.get(SECOND).content.decode()


# --- linking


def test_an_account_is_linked_by_its_owner_who_sees_with_whom(provider: OidcServer) -> None:
    user = User.objects.create_user("eva", password=PASSWORD, is_staff=True)
    client = browser()
    sign_in(client, "eva")
    page = comes_in(client, f"{GO}?link=1")
    assert (page.status_code, "ada" in page.content.decode(), Identity.objects.count()) == (200, True, 0)
    sealed = page.context["sealed"]
    other = browser()
    other.force_login(User.objects.create_user("ben", password=PASSWORD, is_staff=True), backend=BACKEND)
    for who, sent in ((other, sealed), (client, ""), (client, "x" * 99)):
        assert who.post(LINKED, {"sealed": sent}).status_code == 403
    assert client.post(LINKED, {"sealed": sealed}).headers["Location"] == SECURITY
    assert Identity.objects.get().user == user
    assert "00u1 at corp" in client.get(SECURITY).content.decode()
    # Theirs alone: nobody else is linked with the same, and takes it away.
    page = comes_in(other, f"{GO}?link=1")
    assert other.post(LINKED, {"sealed": page.context["sealed"]}).status_code == 403
    other.post(SECURITY, {"unlink": Identity.objects.get().pk})
    assert Identity.objects.count() == 1
    fresh = browser()
    assert comes_in(fresh).status_code == 302
    assert SignedIn.objects.get(session_key=fresh.session.session_key).user == user
    client.post(SECURITY, {"unlink": Identity.objects.get().pk})
    assert not Identity.objects.exists()
    assert (let_in(fresh)[0], let_in(client)[0]) == (302, 200)  # who came in by the link is out
    assert browser().post(LINKED, {"sealed": sealed}).status_code == 302  # a stranger


def test_who_has_a_second_factor_shows_it_before_a_link_and_who_has_no_password_keeps_one(provider: OidcServer) -> None:
    user = linked_ada(provider)
    user.set_unusable_password()
    user.save()
    client = browser()
    comes_in(client)
    client.post(SECURITY, {"unlink": Identity.objects.get().pk})
    assert Identity.objects.count() == 1
    secret = factors.new_secret()
    assert factors.enrol(user, secret, code(secret, -1))
    assert client.get(f"{GO}?link=1").headers["Location"].startswith(PROVE)


# --- signing out


def test_who_came_in_at_a_provider_is_shown_how_to_sign_out_there(provider: OidcServer) -> None:
    linked_ada(provider)
    client = browser()
    comes_in(client)
    page = client.post("/admin/logout/")
    assert f"{provider.url}/end?client_id={CLIENT}" in page.content.decode()
    assert let_in(client)[0] == 302
    sign_in(client)
    assert provider.url not in client.post("/admin/logout/").content.decode()


def test_signing_out_at_the_provider_ends_the_sessions_that_began_there(provider: OidcServer) -> None:
    user = linked_ada(provider)
    provider.claims["sid"] = "one"
    here, there, by_password = browser(), browser(), browser()
    comes_in(here)
    provider.claims["sid"] = "two"
    comes_in(there)
    sign_in(by_password)

    def told(token: str) -> int:
        return browser().post(ENDED, {"logout_token": token}).status_code

    token = provider.logout_token(sid="one")
    assert told(token) == 200
    assert [client.get("/admin/").status_code for client in (here, there, by_password)] == [302, 200, 200]
    assert told(token) == 403  # once
    for lie in (
        {"nonce": "x"}, {"events": {}}, {"aud": "other"}, {"iss": "https://evil.example"}, {"sub": None},
        {"iat": int(time.time()) - 3_600, "exp": None}, {"jti": None}, {"events": ["x"]},
    ):  # fmt: skip
        assert told(provider.logout_token(**lie)) == 403, lie
    provider.sign = by_another
    assert told(provider.logout_token()) == 403
    provider.sign = None
    assert [told(wrong) for wrong in ("", "a.b.c", "x" * 70_000)] == [403] * 3
    # An ID token is none.
    claims = {"iss": provider.url, "aud": CLIENT, "sub": "00u1", "iat": int(time.time()), "exp": int(time.time()) + 60}
    assert told(provider.signed(claims)) == 403
    assert there.get("/admin/").status_code == 200
    assert told(provider.logout_token()) == 200
    assert there.get("/admin/").status_code == 302
    assert by_password.get("/admin/").status_code == 200
    assert browser().get(ENDED).status_code == 404
    assert user.sign_ins.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_first_sign_ins_at_once_make_one_account(provider: OidcServer) -> None:
    clients = [browser(), browser()]
    backs = [sent_back(client) for client in clients]
    barrier, answers = threading.Barrier(2), []

    def enter(client: Client, back: str) -> None:
        from django.db import connection

        barrier.wait(30)
        try:
            answers.append(client.get(back).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=enter, args=pair) for pair in zip(clients, backs, strict=True)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert set(answers) <= {302, 403}
    assert 302 in answers
    assert (User.objects.count(), Identity.objects.count()) == (1, 1)


# --- the setting

GOOD = {"protocol": "oidc", "name": "a", "title": "t", "issuer": "https://x", "client_id": "c"}


def changed(**wrong: Any) -> str:
    return json.dumps([{**GOOD, **wrong}])


BAD: dict[str, str] = {
    "{": "no JSON", "{}": "a list", "[1]": "[0]", '[{"protocol": "oidc"}]': "name",
    changed(name="A"): "name", changed(issuer="http://x"): "issuer", changed(algorithms=["HS256"]): "algorithms",
    changed(algorithms=[]): "algorithms", changed(scopes=["email"]): "openid", changed(secret="x"): "secret",
    json.dumps([GOOD, {**GOOD, "name": "b"}]): "issuer: is there twice", changed(protocol="kerberos"): "[0]",
    json.dumps([GOOD, {**GOOD, "issuer": "https://y"}]): "name: is there twice",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_a_setting_that_cannot_be_used_stops_the_start(settings: Any, text: str) -> None:
    settings.ERIP_SIGN_IN_PROVIDERS = text
    with pytest.raises(BadProviders, match=BAD[text].replace("[", r"\[")):
        configured()
    with pytest.raises(SystemCheckError, match=r"access\.E002"):
        call_command("check")


def test_the_example_of_the_page_can_be_used(settings: Any) -> None:
    page = (ROOT / "docs" / "how-to" / "sign-in-with-your-provider.md").read_text("utf-8")
    for block in page.split("```json\n")[1:]:
        settings.ERIP_SIGN_IN_PROVIDERS = block.partition("```")[0]
        assert configured()
