"""Security keys: a key in software that signs as a real one does, and everything that is no answer of one.

The same in a real browser is in `tests/e2e/test_security_keys_in_a_browser.py`.
"""

import base64
import hashlib
import html
import json
import os
import re
from dataclasses import dataclass, field
from typing import Any

import cbor2
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from erip.access.models import Factor, SecurityKey, UsedOnce
from erip.access.sign_in import factors, security_keys
from erip.audit import refusals
from erip.audit.models import Entry
from tests.integration.test_sign_in import PASSWORD, PROVE, SECOND, SECURITY, browser, let_in, sign_in

pytestmark = pytest.mark.django_db
ADD, FIRST = "/admin/security/keys/add/", "/admin/second-factor/key/"
ORIGIN = "https://erip.example.com"


@pytest.fixture(autouse=True)
def at_a_name(settings: Any) -> None:
    settings.ERIP_PUBLIC_URL = ORIGIN


def encoded(some: bytes) -> str:
    return base64.urlsafe_b64encode(some).rstrip(b"=").decode()


def asked(page: Any) -> dict[str, Any]:
    """What the page has the browser ask the key for."""
    found = re.search(r'data-options="([^"]+)"', page.content.decode())
    assert found, page.content.decode()[:2000]
    options: dict[str, Any] = json.loads(html.unescape(found[1]))
    return options


class Key:
    """Signs as FIDO2 keys do (ES256). It counts, unless count is None. verifies: it asked its owner for a PIN."""

    def __init__(self, count: int | None = 1, *, verifies: bool = True) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.id = os.urandom(32)
        self.count, self.verifies = count, verifies

    def create(self, options: dict[str, Any], origin: str = ORIGIN, **wrong: Any) -> str:
        numbers = self.private.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        credential = bytes(16) + len(self.id).to_bytes(2) + self.id + cbor2.dumps(public)
        data = self._data(options["rp"]["id"], 0x40, **wrong) + credential
        attested = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        said = self._said("webauthn.create", options, origin, **wrong)
        return self._answer({"clientDataJSON": encoded(said), "attestationObject": encoded(attested)})

    def get(self, options: dict[str, Any], origin: str = ORIGIN, **wrong: Any) -> str:
        if self.count is not None:
            self.count += 1
        said, data = self._said("webauthn.get", options, origin, **wrong), self._data(options["rpId"], 0, **wrong)
        signature = wrong.get("signature") or self.private.sign(
            data + hashlib.sha256(said).digest(), ec.ECDSA(SHA256())
        )
        parts = {"clientDataJSON": said, "authenticatorData": data, "signature": signature}
        return self._answer({name: encoded(part) for name, part in parts.items()})

    def _data(self, rp: str, flags: int, *, rp_id: str = "", present: bool = True, **_: Any) -> bytes:
        flags |= (0x01 if present else 0) | (0x04 if self.verifies else 0)
        return hashlib.sha256((rp_id or rp).encode()).digest() + bytes([flags]) + (self.count or 0).to_bytes(4)

    def _said(self, kind: str, options: dict[str, Any], origin: str, *, challenge: str = "", **more: Any) -> bytes:
        said = {"type": more.get("type", kind), "challenge": challenge or options["challenge"], "origin": origin}
        return json.dumps({**said, "crossOrigin": False}).encode()

    def _answer(self, response: dict[str, str]) -> str:
        shown = encoded(self.id)
        common = {"id": shown, "rawId": shown, "type": "public-key", "clientExtensionResults": {}}
        return json.dumps({**common, "response": response})


def add(client: Client, key: Key, name: str = "blue") -> Any:
    return client.post(ADD, {"name": name, "credential": key.create(asked(client.get(ADD)))})


@pytest.fixture
def key() -> Key:
    return Key()


@pytest.fixture
def ada(key: Key) -> User:
    """A superuser whose second factor is this security key."""
    user = User.objects.create_superuser("ada", password=PASSWORD)
    client = browser()
    sign_in(client)
    assert add(client, key).status_code == 200
    return user


def show(client: Client, sent: str, place: str = SECOND) -> Any:
    return client.post(place, {"credential": sent})


def test_a_key_that_was_added_is_asked_for_and_opens_every_door(ada: User, key: Key) -> None:
    client = browser()
    assert sign_in(client).headers["Location"] == SECOND
    assert let_in(client) == [302, 401, 302, 302]

    answer = show(client, key.get(asked(client.get(SECOND))))

    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
    assert let_in(client) == [200] * 4
    row = SecurityKey.objects.get()
    assert (row.name, row.sign_count, row.last_used_at is not None) == ("blue", key.count, True)


def test_the_first_key_comes_with_recovery_codes_and_the_second_without(ada: User) -> None:
    assert len(Factor.objects.get(kind="codes").codes) == factors.CODES
    client = browser()
    sign_in(client)
    first, *_ = factors.renew_codes(ada)
    assert client.post(SECOND, {"code": first}).status_code == 302  # without the key
    assert add(client, Key(), "red").headers["Location"] == SECURITY
    page = client.get(SECURITY).content.decode()
    assert "blue" in page
    assert "red" in page
    assert add(client, Key(), "red").status_code == 200  # the name is taken
    assert SecurityKey.objects.count() == 2


WRONG: dict[str, dict[str, Any]] = {
    "another origin": {"origin": "https://erip.example.org"},
    "beneath the domain": {"origin": "https://evil.erip.example.com"},
    "without TLS": {"origin": "http://erip.example.com"},
    "another port": {"origin": f"{ORIGIN}:8443"},
    "another domain": {"rp_id": "example.org"},
    "another challenge": {"challenge": encoded(bytes(32))},
    "nobody touched it": {"present": False},
    "for something else": {"type": "webauthn.create"},
    "a signature of nothing": {"signature": bytes(70)},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_signed_for_somebody_else_opens_nothing(ada: User, key: Key, wrong: dict[str, Any]) -> None:
    client = browser()
    sign_in(client)
    answer = show(client, key.get(asked(client.get(SECOND)), **wrong))
    assert answer.status_code == 200
    assert "did not show that it is yours" in answer.content.decode()
    assert let_in(client) == [302, 401, 302, 302]
    refusals.flush()
    left = [orjson.loads(body) for body in Entry.objects.values_list("body", flat=True)]
    assert ("user:ada", "refused") in {(one.get("object"), one.get("outcome")) for one in left}


def test_another_key_another_person_and_another_browser_open_nothing(ada: User, key: Key) -> None:
    client, other = browser(), browser()
    sign_in(client)
    assert show(client, Key().get(asked(client.get(SECOND)))).status_code == 200
    theirs = Key()
    ben = User.objects.create_superuser("ben", password=PASSWORD)
    sign_in(other, "ben")
    add(other, theirs)
    assert SecurityKey.objects.filter(user=ben).count() == 1
    assert show(client, theirs.get(asked(client.get(SECOND)))).status_code == 200
    # Asked in one browser, answered in another.
    sign_in(other)
    other.get(SECOND)
    assert show(other, key.get(asked(client.get(SECOND)))).status_code == 200
    assert let_in(other)[0] == let_in(client)[0] == 302


def test_an_answer_counts_once_and_a_while(ada: User, key: Key, monkeypatch: Any) -> None:
    client = browser()
    sign_in(client)
    options = asked(client.get(SECOND))
    assert asked(client.get(SECOND)) == options  # loaded twice
    sent = key.get(options)
    session = client.session["erip_security_key"]
    assert show(client, sent).status_code == 302
    again = browser()
    sign_in(again)
    held = again.session
    held["erip_security_key"] = session  # two requests at once read the same session
    held.save()
    assert "answered before" in show(again, sent).content.decode()
    assert not SecurityKey.objects.exclude(copied_at=None).exists()
    options = asked(again.get(SECOND))
    real = security_keys.time.time()
    monkeypatch.setattr(security_keys.time, "time", lambda: real + security_keys.ASKED_FOR + 5)
    assert "took too long" in show(again, key.get(options)).content.decode()
    assert UsedOnce.objects.count() > 0


@pytest.mark.parametrize("back", [0, 1, 3])
def test_a_key_that_counts_backwards_opens_nothing_any_more(ada: User, key: Key, back: int) -> None:
    SecurityKey.objects.update(sign_count=50)
    key.count = 49 - back
    client = browser()
    sign_in(client)
    assert "counts backwards" in show(client, key.get(asked(client.get(SECOND)))).content.decode()
    assert SecurityKey.objects.get().copied_at is not None
    refusals.flush()
    assert any(
        "there may be a copy" in str(orjson.loads(body).get("why"))
        for body in Entry.objects.values_list("body", flat=True)
    )
    # The password alone is still not enough, and nobody sets up another factor with it.
    again = browser()
    assert sign_in(again).headers["Location"] == SECOND
    page = again.get(SECOND).content.decode()
    assert "data-options" not in page
    assert "recovery code" in page
    assert again.get(FIRST).headers["Location"] == SECOND
    assert let_in(again)[0] == 302


def test_a_key_that_does_not_count_is_good_every_time() -> None:
    User.objects.create_superuser("ada", password=PASSWORD)
    passkey, client = Key(None), browser()
    sign_in(client)
    add(client, passkey)
    for _ in range(2):
        client = browser()
        sign_in(client)
        assert show(client, passkey.get(asked(client.get(SECOND)))).status_code == 302


def test_a_key_that_asks_for_no_pin_is_refused_where_that_is_required(settings: Any) -> None:
    settings.ERIP_WEBAUTHN_VERIFICATION = "required"
    User.objects.create_superuser("ada", password=PASSWORD)
    key, client = Key(verifies=False), browser()
    sign_in(client)
    assert add(client, key).status_code == 200
    assert not SecurityKey.objects.exists()
    key.verifies = True
    assert add(client, key).status_code == 200
    key.verifies = False
    client = browser()
    sign_in(client)
    assert show(client, key.get(asked(client.get(SECOND)))).status_code == 200
    key.verifies = True
    assert show(client, key.get(asked(client.get(SECOND)))).status_code == 302


def test_a_key_proves_again_before_what_is_dangerous(ada: User, key: Key) -> None:
    client = browser()
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    refused = client.post("/admin/access/space/add/", {"name": "north"})
    assert refused.headers["Location"].startswith(PROVE)
    sent = {"credential": key.get(asked(client.get(PROVE))), "next": "https://elsewhere.example/"}
    assert client.post(PROVE, sent).headers["Location"] == "/admin/"
    assert client.post("/admin/access/space/add/", {"name": "north"}).headers["Location"] == "/admin/access/space/"


def test_keys_are_removed_by_their_owner_alone_and_the_last_with_its_codes(ada: User, key: Key, settings: Any) -> None:
    number = SecurityKey.objects.get().pk
    ben, other = User.objects.create_superuser("ben", password=PASSWORD), browser()
    sign_in(other, "ben")
    for given_number in (number, "9" * 18, "x", "-1", "9" * 40):
        other.post(SECURITY, {"remove_key": given_number})
    assert SecurityKey.objects.count() == 1
    client = browser()
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(SECURITY, {"remove_key": number}).headers["Location"].startswith(PROVE)
    assert client.get(ADD).headers["Location"].startswith(PROVE)
    client.post(PROVE, {"credential": key.get(asked(client.get(PROVE)))})
    settings.ERIP_SECOND_FACTOR_ROLES = ["*"]
    client.post(SECURITY, {"remove_key": number})
    assert SecurityKey.objects.count() == 1
    settings.ERIP_SECOND_FACTOR_ROLES = []
    client.post(SECURITY, {"remove_key": number})
    assert not SecurityKey.objects.exists()
    assert not Factor.objects.exists()
    assert not factors.has(ben)


def test_who_needs_a_second_factor_adds_a_key_before_they_come_in(settings: Any) -> None:
    settings.ERIP_SECOND_FACTOR_ROLES = ["*"]
    User.objects.create_superuser("eva", password=PASSWORD)
    key, client = Key(), browser()
    assert client.get(FIRST).headers["Location"] == "/admin/login/"
    sign_in(client, "eva", next="/admin/access/space/")
    assert FIRST in client.get(SECOND).content.decode()
    assert client.post(FIRST, {"name": "x", "credential": "{}"}).status_code == 200
    assert let_in(client) == [302, 401, 302, 302]

    done = client.post(FIRST, {"name": "blue", "credential": key.create(asked(client.get(FIRST)))})

    assert len(done.context["codes"]) == factors.CODES
    assert done.context["next"] == "/admin/access/space/"
    assert let_in(client) == [200] * 4


def test_at_an_address_there_are_no_security_keys_and_the_page_says_why(settings: Any) -> None:
    settings.ERIP_PUBLIC_URL = "http://127.0.0.1:8000"
    User.objects.create_superuser("ada", password=PASSWORD)
    client = browser()
    sign_in(client)
    assert "ERIP_PUBLIC_URL" in client.get(ADD).content.decode()
    assert ADD not in client.get(SECURITY).content.decode()
    settings.ERIP_WEBAUTHN_RP_ID, settings.ERIP_WEBAUTHN_ORIGINS = "example.com", [ORIGIN]
    assert add(client, Key()).status_code == 200
    assert SecurityKey.objects.exists()


def test_lost_keys_are_removed_by_the_command(ada: User) -> None:
    call_command("sign_ins", "reset", "ada")
    assert not SecurityKey.objects.exists()
    assert not Factor.objects.exists()


def test_the_audit_log_has_what_was_added_and_not_the_key(ada: User, key: Key) -> None:
    log = "".join(f"{one.body!r}{one.changes!r}" for one in Entry.objects.all())
    assert "access_securitykey" in log
    assert "blue" in log
    for form in (key.id.hex(), encoded(key.id)):
        assert form not in log


PLACES = ["id", "rawId", "type", "clientDataJSON", "authenticatorData", "signature", ""]
HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.binary(max_size=40).map(encoded),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@dataclass
class Request:
    """What the checks look at of a request."""

    session: dict[str, Any] = field(default_factory=dict)


@hypothesis_settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(PLACES), bad=HOSTILE)
def test_no_answer_of_a_browser_is_an_error_of_ours(ada: User, key: Key, place: str, bad: Any) -> None:
    request: Any = Request()
    sent = json.loads(key.get(json.loads(security_keys.ask_to_sign(request, ada))))
    if place in sent:
        sent[place] = bad
    elif place:
        sent["response"][place] = bad
    else:
        sent = bad
    with pytest.raises(security_keys.KeyRefused):
        security_keys.check(request, ada, json.dumps(sent))


def test_texts_that_are_no_answer_are_refused(ada: User) -> None:
    request: Any = Request()
    for sent in ("", "{", "[" * 20_000, "null", "1e999", '"x"', "\0", "{}", "9" * 40_000):
        security_keys.ask_to_sign(request, ada)
        with pytest.raises(security_keys.KeyRefused):
            security_keys.check(request, ada, sent)
        security_keys.ask_to_register(request, ada)
        with pytest.raises(security_keys.KeyRefused):
            security_keys.register(request, ada, "x", sent)
    assert SecurityKey.objects.count() == 1
