"""The platform does not believe what callers say about themselves: it looks up who owns a subscription, key or run."""

import pytest
import structlog

from erip.access import keys
from erip.access.models import ApiKey
from erip.access.scopes import Scope
from tests.integration.test_doors import staff
from tests.support.api import INPUT, Api, key, publish
from workflows import queries
from workflows.events import subscriptions
from workflows.events.models import Subscription
from workflows.models import WorkflowRun
from workflows.queries import Page

pytestmark = pytest.mark.django_db(transaction=True)
START = "/workflows/look-up/runs"
WANTED = {"url": "https://hooks.example.com/", "types": ["a.*"]}


@pytest.fixture(autouse=True)
def _ready() -> None:
    keys.forget_cached()
    publish()


def operator(name: str, scope: Scope = Scope.OPERATOR) -> Api:
    return Api(key(scope, name=name))


def test_nobody_gets_the_secret_of_a_subscription_that_somebody_else_made():
    owner, other = operator("owner"), operator("other")
    made = owner.post("/subscriptions", WANTED).json()
    path = f"/subscriptions/{made['id']}"

    refused = other.post(f"{path}/rotate-secret")
    assert (refused.status_code, refused.json()["code"]) == (403, "others-secret")
    shown = [other.get(path), other.get("/subscriptions"), other.send("PATCH", path, b'{"description": "x"}')]
    assert [answer.status_code for answer in shown] == [200] * 3
    assert all("whsec_" not in answer.content.decode() for answer in shown)
    assert Subscription.objects.get().secret_version == 1

    assert owner.post(f"{path}/rotate-secret").json()["secret"] != made["secret"]


def test_administrators_and_staff_who_may_change_subscriptions_exchange_any_secret():
    made = operator("owner").post("/subscriptions", WANTED).json()
    path = f"/subscriptions/{made['id']}/rotate-secret"

    assert operator("root", Scope.ADMIN).post(path).status_code == 200
    Subscription.objects.update(rotated_at=None)
    member = staff("events.change_subscription")
    assert member.post(f"/api/v1{path}", {}, content_type="application/json").status_code == 200


def test_what_nobody_in_particular_made_belongs_to_all_operators():
    made = subscriptions.subscribe(**WANTED, principal="command:events")

    assert operator("anybody").post(f"/subscriptions/{made.subscription.pk}/rotate-secret").status_code == 200


def test_what_a_caller_made_who_may_not_come_in_any_more_belongs_to_all_operators():
    made = operator("owner").post("/subscriptions", WANTED).json()
    keys.revoke(ApiKey.objects.get(name="owner").prefix)

    assert operator("heir").post(f"/subscriptions/{made['id']}/rotate-secret").status_code == 200


def test_the_same_idempotency_key_of_another_caller_is_another_one_and_shows_nothing():
    one, other = operator("one"), operator("other")
    first = one.post(START, {"input": INPUT}, Idempotency_Key="k")
    again = one.post(START, {"input": INPUT}, Idempotency_Key="k")
    theirs = other.post(START, {"input": INPUT}, Idempotency_Key="k")

    assert first.json()["id"] == again.json()["id"] != theirs.json()["id"]
    assert theirs.json()["existing"] is False
    assert other.post(START, {"input": {"cves": []}}, Idempotency_Key="k").status_code == 422
    assert {run.started_by for run in WorkflowRun.objects.all()} == {"key:one", "key:other"}


@pytest.mark.parametrize(
    "header", ["X-Remote-User", "Remote-User", "X-Forwarded-User", "X-Original-URL", "X-HTTP-Method-Override"]
)
def test_no_header_makes_somebody_of_nobody(header):
    reader = Api(key(Scope.VIEWER, name="reader"))
    named = header.replace("-", "_")

    assert Api().get("/runs").status_code == 401
    assert Api().send("GET", "/runs", b"", **{named: "root"}).status_code == 401
    answer = reader.send("GET", "/runs", b"", **{named: "DELETE"})
    assert answer.status_code == 200
    assert reader.post(START, {"input": INPUT}, **{named: "GET"}).status_code == 403


def test_the_addresses_in_answers_name_no_host_that_a_caller_named(settings):
    settings.ALLOWED_HOSTS = ["*"]
    api = operator("one")

    answers = [
        api.post(START, {"input": INPUT}, Host="attacker.example"),
        api.post("/subscriptions", WANTED, Host="attacker.example", X_Forwarded_Host="attacker.example"),
        api.send("GET", "/runs", b"", Host="attacker.example"),
    ]
    for answer in answers:
        assert answer.status_code < 300
        assert "attacker" not in str(dict(answer.headers)) + answer.content.decode()


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "Client-IP"])
def test_the_address_in_the_log_is_not_what_a_caller_says(header, monkeypatch):
    seen = {}

    def list_runs(*_: object, **__: object) -> Page:
        seen.update(structlog.contextvars.get_contextvars())
        return Page([], None)

    monkeypatch.setattr(queries, "list_runs", list_runs)
    said = {header.replace("-", "_"): "203.0.113.9", "X_Request_ID": "forged", "X_Correlation_ID": "forged"}

    assert operator("one").send("GET", "/runs", b"", **said).status_code == 200
    assert seen["ip"] == "127.0.0.1"
    assert "forged" not in str(seen)
