"""Tokens of machines, signed by a real issuer: what opens something, and everything that does not."""

import base64
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from erip.access.errors import IssuerAway
from erip.access.rules import Rule
from erip.access.scopes import Scope
from erip.access.standing import where
from erip.access.tokens import checking, signing_keys
from erip.access.tokens.issuers import BadIssuers, configured
from erip.ops.stack.state import ROOT
from tests.support.api import INPUT, Api, publish

pytestmark = pytest.mark.django_db


class Issuer:
    """An issuer that publishes its keys over HTTP."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.asked: list[str] = []
        self.up = True
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                found: Any = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}
                if self.path == "/keys":
                    found = {"keys": [issuer.published(kid) for kid in issuer.keys]}
                body = json.dumps(found).encode()
                self.send_response(200 if issuer.up else 500)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, kid: str, kind: str = "RSA") -> None:
        made = rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())
        self.keys[kid] = made

    def published(self, kid: str) -> dict[str, Any]:
        key = self.keys[kid]
        algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
        return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}

    def pem(self, kid: str) -> bytes:
        public = self.keys[kid].public_key()
        pem: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem

    def sign(self, kid: str = "one", algorithm: str = "RS256", key: Any = None, **claims: Any) -> str:
        now = int(time.time())
        body = {"iss": self.url, "aud": "erip", "sub": "system:feed", "iat": now, "exp": now + 600, **claims}
        body = {name: value for name, value in body.items() if value is not None}
        return jwt.encode(body, key or self.keys[kid], algorithm=algorithm, headers={"kid": kid} if kid else {})


@pytest.fixture(scope="module")
def server() -> Iterator[Issuer]:
    made = Issuer()
    made.add("one")
    made.add("two", "EC")
    yield made
    made.server.shutdown()
    made.server.server_close()


def setting(issuer: Issuer, **more: Any) -> str:
    rules = [
        {"name": "feed", "match": {"sub": "system:feed"}, "roles": ["operator"]},
        {"name": "ops/eu", "match": {"groups": "ops"}, "roles": ["viewer", "none-such"]},
    ]
    return json.dumps([{"issuer": issuer.url, "audience": "erip", "rules": rules, **more}])


@pytest.fixture
def issuer(server: Issuer, settings: Any) -> Iterator[Issuer]:
    settings.ERIP_TOKEN_ISSUERS = setting(server)
    server.up, server.asked = True, []
    checking.forget()
    yield server
    checking.forget()


def test_a_token_opens_what_its_rule_says_and_is_recorded_by_its_name(issuer: Issuer) -> None:
    publish()
    api = Api(issuer.sign())

    started = api.post("/workflows/look-up/runs", {"input": INPUT})

    assert started.status_code == 202, started.content
    assert api.get(f"/runs/{started.json()['id']}").json()["started_by"] == "token:feed"
    assert api.send("PUT", "/workflows/look-up", b"{}").status_code == 403
    by_group = Api(issuer.sign("two", "ES256", sub="x", groups=["a", "ops"]))
    assert (by_group.get("/runs").status_code, by_group.post("/workflows/look-up/runs", {}).status_code) == (200, 403)
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


def encoded(what: bytes) -> str:
    return base64.urlsafe_b64encode(what).decode().rstrip("=")


def other_key() -> Any:
    return rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"}, {"aud": None}, {"iss": "https://elsewhere.example"}, {"iss": None}, {"sub": None},
        {"sub": "system:other"}, {"sub": 7}, {"exp": None}, {"exp": 1}, {"exp": "soon"}, {"iat": None},
        {"iat": 9_999_999_999}, {"nbf": 9_999_999_999}, {"exp": 9_999_999_999}, {"exp": float("inf")},
        {"groups": "x" * 9_000, "sub": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_with_other_claims_opens_nothing(issuer: Issuer, claims: dict[str, Any]) -> None:
    assert Api(issuer.sign(**claims)).get("/runs").status_code == 401


def test_a_token_that_is_signed_otherwise_opens_nothing(issuer: Issuer) -> None:
    good = issuer.sign()
    head, body, signature = good.split(".")
    claims = {
        "iss": issuer.url,
        "aud": "erip",
        "sub": "system:feed",
        "iat": int(time.time()),
        "exp": int(time.time()) + 60,
    }
    # The public key in place of a shared secret: RFC 8725, section 2.1. The library refuses to make such a token.
    mixed = ".".join(encoded(json.dumps(each).encode()) for each in ({"alg": "HS256", "kid": "one"}, claims))
    mixed += "." + encoded(hmac.digest(issuer.pem("one"), mixed.encode(), "sha256"))
    wrong = [
        issuer.sign(key=other_key()),
        issuer.sign(kid="", key=issuer.keys["one"]),
        issuer.sign(kid="two", key=issuer.keys["one"]),
        issuer.sign(algorithm="RS512"),
        jwt.encode(claims, "", algorithm="none", headers={"kid": "one"}),
        mixed,
        f"{head}.{body}.", f"{head}.{body[:-2]}AA.{signature}", "..", "a.b.c", f"{good}.x", good[:-3] + "é..",
    ]  # fmt: skip

    assert [Api(each).get("/runs").status_code for each in wrong] == [401] * len(wrong)
    assert Api(good).get("/runs").status_code == 200


def test_no_issuer_is_believed_that_is_not_configured(server: Issuer, settings: Any) -> None:
    settings.ERIP_TOKEN_ISSUERS = ""
    checking.forget()
    server.asked = []
    assert Api(server.sign()).get("/runs").status_code == 401
    assert server.asked == []


def test_an_issuers_new_key_counts_without_a_restart_and_strangers_do_not_have_it_asked(issuer: Issuer) -> None:
    now = [1_000.0]
    keys = signing_keys.SigningKeys(clock=lambda: now[0])
    one = configured()[issuer.url]
    assert keys.find(one, "one") is not None
    asked = len(issuer.asked)
    assert [keys.find(one, f"made-up-{number}") for number in range(100)] == [None] * 100
    assert len(issuer.asked) == asked

    issuer.add("three")
    try:
        now[0] += signing_keys.AGAIN + 1
        assert keys.find(one, "three") is not None
        del issuer.keys["three"]
        now[0] += signing_keys.KEEP + 1
        assert keys.find(one, "three") is None  # it was withdrawn
    finally:
        issuer.keys.pop("three", None)


def test_while_an_issuer_is_away_known_keys_count_and_unknown_is_not_no(issuer: Issuer) -> None:
    now = [1_000.0]
    keys = signing_keys.SigningKeys(clock=lambda: now[0])
    one = configured()[issuer.url]
    issuer.up = False
    with pytest.raises(IssuerAway):
        keys.find(one, "one")
    answer = Api(issuer.sign()).get("/runs")
    assert (answer.status_code, answer.json()["code"]) == (503, "issuer-away")
    assert "Retry-After" in answer.headers

    issuer.up = True
    now[0] += signing_keys.AGAIN + 1
    assert keys.find(one, "one") is not None
    issuer.up = False
    now[0] += signing_keys.KEEP + 1
    assert keys.find(one, "one") is not None
    now[0] += signing_keys.STALE
    with pytest.raises(IssuerAway):
        keys.find(one, "one")


def test_a_busy_token_is_checked_once_and_no_longer_than_it_is_good(
    issuer: Issuer, django_assert_max_num_queries: Any, monkeypatch: Any
) -> None:
    token = issuer.sign()
    with django_assert_max_num_queries(1):
        assert {str(checking.authenticate(token)) for _ in range(50)} == {"token:feed"}
    assert checking.remembered(token) is not None
    later = time.time() + 700
    monkeypatch.setattr(time, "time", lambda: later)
    assert checking.remembered(token) is None


def test_work_that_lasts_asks_whether_the_rule_is_still_there(issuer: Issuer, settings: Any) -> None:
    rule = Rule(Scope.VIEWER, ("events.view_logentry",))
    assert where(["token:feed", "token:none"], rule).keys() == {"token:feed"}
    settings.ERIP_TOKEN_ISSUERS = ""
    assert where(["token:feed"], rule) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("{}", "must be a list"),
        ('[{"issuer": "http://x", "audience": "", "rules": []}]', "https"),
        (
            '[{"issuer": "https://x", "audience": "a", "rules": [{"name": "a b", "match": {}, "roles": []}], "x": 1}]',
            "rules",
        ),
        ('[{"issuer": "https://x", "audience": "a", "algorithms": ["HS256"], "rules": []}]', "algorithms"),
    ],
)
def test_a_setting_that_cannot_be_used_stops_the_platform_with_every_fault(settings: Any, text: str, said: str) -> None:
    settings.ERIP_TOKEN_ISSUERS = text
    with pytest.raises(BadIssuers, match=said):
        configured()
    with pytest.raises(SystemCheckError, match=r"access\.E001"):
        call_command("check")


def test_the_example_of_the_page_can_be_used(settings: Any) -> None:
    page = (ROOT / "docs" / "how-to" / "machine-tokens.md").read_text("utf-8")
    settings.ERIP_TOKEN_ISSUERS = page.partition("```json")[2].partition("```")[0]
    found = configured()
    assert [rule.name for one in found.values() for rule in one.rules] == ["feed", "north/desk"]
    claims = {"azp": "desk", "groups": ["south", "north"]}
    rule = found["https://login.example.com/realms/risk"].rule_for(claims)
    assert rule is not None
    assert rule.space == "north"
