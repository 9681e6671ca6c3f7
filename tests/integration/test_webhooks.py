"""Events go to webhooks: signed, at least once, with the same id at every attempt; each outcome is recorded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from django.db import connection
from standardwebhooks import Webhook, WebhookVerificationError

from erip.access import keys
from erip.access.scopes import Scope
from tests.definitions import one_step, publish
from tests.support.api import Api, key
from tests.support.events import accept, consuming, event
from tests.support.receiver import Receiver, receiving
from tests.workers import until
from workflows.events import deliveries, interest, subscriptions
from workflows.events.conf import conf
from workflows.events.deliveries import Breakers, Deliverer
from workflows.events.models import Delivery, DeliveryAttempt, Event, Subscription
from workflows.events.secrets import secret_of
from workflows.events.store.deliveries import claim_deliveries, forget_deliveries, record_outcome
from workflows.events.subscriptions import SubscriptionsEffect
from workflows.models import WorkflowRun

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("private_targets")]


@pytest.fixture
def private_targets(settings: Any) -> Iterator[None]:
    settings.ERIP_WEBHOOK_ALLOW_PRIVATE = True
    conf.cache_clear()
    yield
    conf.cache_clear()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def api() -> Api:
    keys.forget_cached()
    return Api(key(Scope.OPERATOR))


@contextmanager
def delivering(**options: Any) -> Iterator[Deliverer]:
    deliverer = Deliverer(**options)
    try:
        yield deliverer
    finally:
        deliverer.stop()


def subscribe(receiver: Receiver, *types: str, **more: Any) -> subscriptions.Made:
    return subscriptions.subscribe(url=receiver.url, types=types or ["*"], principal="key:t", **more)


def settled(state: str, count: int = 1) -> Callable[[], bool]:
    return lambda: Delivery.objects.filter(state=state).count() == count


def test_an_event_is_delivered_signed_with_the_secret_that_was_shown(api: Api, receiver: Receiver) -> None:
    made = api.post("/subscriptions", {"url": receiver.url, "types": ["nexus.threat.*"], "subject": "asset-1"})
    assert made.status_code == 201, made.content
    wanted = event(id="7", type="nexus.threat.detected", subject="asset-1")
    with consuming(SubscriptionsEffect()), delivering():
        accept([event(id="6", type="atlas.vulnerability.discovered", subject="asset-1")])
        accept([wanted, event(id="8", type="nexus.threat.detected", subject="asset-10")])
        until(settled("DELIVERED"))
        until(lambda: Event.objects.count() == 3)

    (post,) = receiver.posts
    assert Webhook(made.json()["secret"]).verify(post.body, post.headers) == wanted
    assert post.headers["content-type"].startswith("application/cloudevents+json")
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_of(made.json()["id"], 2)).verify(post.body, post.headers)
    (shown,) = api.get(f"/subscriptions/{made.json()['id']}/deliveries").json()["items"]
    assert (shown["status"], shown["event_id"], shown["webhook_id"]) == ("DELIVERED", "7", post.headers["webhook-id"])
    assert [(one["number"], one["status"], one["error"]) for one in shown["log"]] == [(1, 204, "")]
    assert "secret" not in api.get(f"/subscriptions/{made.json()['id']}").json()


def test_the_end_of_a_run_is_delivered_with_its_outcome(
    receiver: Receiver, run_to_end: Callable[..., WorkflowRun]
) -> None:
    subscribe(receiver, "workflow.run.*")
    interest.refresh()
    publish(one_step("sample.flaky", "{times: 9, permanent: true}"))
    with consuming(SubscriptionsEffect()), delivering():
        run = run_to_end("one")
        until(settled("DELIVERED", 2))

    bodies = [orjson.loads(post.body) for post in receiver.posts]
    assert {body["type"] for body in bodies} == {"workflow.run.started", "workflow.run.failed"}
    assert {body["subject"] for body in bodies} == {str(run.pk)}


def test_what_fails_is_tried_again_with_the_same_id_and_its_own_pause(receiver: Receiver) -> None:
    made = subscribe(receiver)
    receiver.answer = lambda number: (503, {"Retry-After": "1800"}) if number == 1 else (200, {})
    with delivering():
        subscriptions.send_test(made.subscription.pk, principal="t")
        until(lambda: DeliveryAttempt.objects.filter(status=503).exists())
        until(settled("PENDING"))

        delivery = Delivery.objects.get()
        with connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM due_at - now()) FROM events_delivery")
            assert 1700 < cursor.fetchone()[0] <= 1801, "Retry-After is longer than the pause of 5 s, and counts"
        Subscription.objects.get(failing_since__isnull=False)
        make_due()
        until(settled("DELIVERED"))

    assert {post.headers["webhook-id"] for post in receiver.posts} == {deliveries.message_id(delivery.pk)}
    assert list(delivery.log.values_list("number", "status")) == [(1, 503), (2, 200)]
    assert Subscription.objects.get().failing_since is None


def make_due() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_delivery SET due_at = clock_timestamp() WHERE state = 'PENDING'")


def test_after_its_last_attempt_it_is_given_up_and_can_be_sent_again(api: Api, receiver: Receiver) -> None:
    made = subscribe(receiver)
    receiver.answer = lambda number: (500, {})
    with delivering(breakers=Breakers(trips_after=1000)):
        delivery = subscriptions.send_test(made.subscription.pk, principal="t")
        for number in range(1, len(deliveries.SCHEDULE) + 1):
            until(lambda: DeliveryAttempt.objects.filter(number=number, status=500).exists())  # noqa: B023
            until(settled("PENDING"))
            make_due()
        until(settled("FAILED"))
        assert len(receiver.posts) == len(deliveries.SCHEDULE) + 1

        receiver.answer = lambda number: (200, {})
        answer = api.post(f"/deliveries/{delivery.pk}/redeliver")
        assert answer.status_code == 202, answer.content
        until(settled("DELIVERED"))

    assert len({post.headers["webhook-id"] for post in receiver.posts}) == 1


def test_an_endpoint_that_is_gone_is_disabled_and_gets_nothing_more_until_it_is_enabled(
    api: Api, receiver: Receiver
) -> None:
    made = subscribe(receiver)
    receiver.answer = lambda number: (410, {})
    with consuming(SubscriptionsEffect()), delivering():
        accept([event(id="1")])
        until(settled("FAILED"))
        subscription = Subscription.objects.get()
        assert (subscription.enabled, subscription.disabled_reason) == (False, "the receiver answered 410 Gone")
        assert api.post(f"/subscriptions/{made.subscription.pk}/test").json()["code"] == "subscription-disabled"
        accept([event(id="2")])
        until(lambda: Event.objects.count() == 2)

        receiver.answer = lambda number: (200, {})
        assert api.send("PATCH", f"/subscriptions/{made.subscription.pk}", b'{"enabled": true}').status_code == 200
        api.post(f"/subscriptions/{made.subscription.pk}/test")
        until(settled("DELIVERED"))

    assert Subscription.objects.get().disabled_at is None
    assert len(receiver.posts) == 2


def test_five_days_of_failures_disable_a_subscription(receiver: Receiver) -> None:
    made = subscribe(receiver)
    receiver.answer = lambda number: (500, {})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_subscription SET failing_since = now() - interval '5 days 1 s'")
    with delivering():
        subscriptions.send_test(made.subscription.pk, principal="t")
        until(lambda: not Subscription.objects.get().enabled)

    assert Subscription.objects.get().disabled_reason.startswith("no delivery has succeeded since")


def test_no_more_than_so_many_are_on_their_way_to_one_endpoint_from_all_workers(receiver: Receiver) -> None:
    made = subscribe(receiver)
    receiver.gate.clear()
    for _ in range(12):
        subscriptions.send_test(made.subscription.pk, principal="t")
    with delivering(threads=8), delivering(threads=8):
        until(lambda: receiver.now == conf().webhook_in_flight)
        until(lambda: Delivery.objects.filter(state="SENDING").count() == conf().webhook_in_flight)
        receiver.gate.set()
        until(settled("DELIVERED", 12))

    assert receiver.most == conf().webhook_in_flight
    assert len(receiver.posts) == 12


def test_one_endpoint_that_hangs_does_not_hold_up_another(receiver: Receiver) -> None:
    hanging = subscribe(receiver)
    receiver.gate.clear()
    for _ in range(20):
        subscriptions.send_test(hanging.subscription.pk, principal="t")
    with receiving() as other, delivering(threads=8):
        until(lambda: receiver.now > 0)
        well = subscribe(other)
        subscriptions.send_test(well.subscription.pk, principal="t")
        until(lambda: len(other.posts) == 1)
        receiver.gate.set()


def test_an_open_circuit_costs_no_attempts(receiver: Receiver) -> None:
    made = subscribe(receiver)
    receiver.answer = lambda number: (500, {})
    breakers = Breakers(trips_after=2, rest=3600.0)
    with delivering(breakers=breakers, threads=1) as deliverer:
        for _ in range(6):
            subscriptions.send_test(made.subscription.pk, principal="t")
        until(lambda: breakers.limits() == {str(made.subscription.pk): 0})
        until(lambda: not Delivery.objects.filter(state="SENDING").exists())
        for _ in range(3):
            assert not deliverer.take()

    assert len(receiver.posts) == 2
    assert Delivery.objects.filter(attempts=0).count() == 4
    # After its pause, the endpoint is tried with one delivery.
    assert Breakers(trips_after=1, rest=0.0).limits() == {}
    tried = Breakers(trips_after=1, rest=0.0)
    tried.record("x", False)
    assert tried.limits() == {"x": 1}
    tried.record("x", True)
    assert tried.limits() == {}


def test_a_worker_that_was_lost_in_the_middle_is_replaced_and_its_late_outcome_does_not_count(
    receiver: Receiver,
) -> None:
    made = subscribe(receiver)
    subscriptions.send_test(made.subscription.pk, principal="t")
    (lost,) = claim_deliveries(limit=5, in_flight=4, lease=0.2, limits={})
    assert claim_deliveries(limit=5, in_flight=4, lease=0.2, limits={}) == [], "claimed while it was leased"
    with delivering():
        until(settled("DELIVERED"))

    late = deliveries.Outcome(False, 5, 500, "late", pause=1.0)
    assert not record_outcome(lost, late, disable_after=1.0)
    assert Delivery.objects.get().state == "DELIVERED"
    assert [one.number for one in DeliveryAttempt.objects.all()] == [1, 2]


def test_during_a_rotation_both_secrets_sign(api: Api, receiver: Receiver) -> None:
    made = subscribe(receiver)
    rotated = api.post(f"/subscriptions/{made.subscription.pk}/rotate-secret").json()
    assert rotated["secret"] != made.secret
    assert api.post(f"/subscriptions/{made.subscription.pk}/rotate-secret").json()["code"] == "rotated-already"
    with delivering():
        subscriptions.send_test(made.subscription.pk, principal="t")
        until(settled("DELIVERED"))
        with connection.cursor() as cursor:
            cursor.execute("UPDATE events_subscription SET rotated_at = now() - interval '25 hours'")
        subscriptions.send_test(made.subscription.pk, principal="t")
        until(settled("DELIVERED", 2))

    during, after = receiver.posts
    for secret in (made.secret, rotated["secret"]):
        Webhook(secret).verify(during.body, during.headers)
    Webhook(rotated["secret"]).verify(after.body, after.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(made.secret).verify(after.body, after.headers)


def test_an_event_that_the_log_has_dropped_is_given_up(receiver: Receiver) -> None:
    subscribe(receiver)
    with consuming(SubscriptionsEffect()):
        accept([event(id="1")])
        until(settled("PENDING"))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM events_event")
    with delivering():
        until(settled("FAILED"))
    assert DeliveryAttempt.objects.get().error == "the log does not have this event any more"


def test_old_deliveries_are_forgotten_and_others_are_not(receiver: Receiver) -> None:
    made = subscribe(receiver)
    with delivering():
        subscriptions.send_test(made.subscription.pk, principal="t")
        until(settled("DELIVERED"))
    subscriptions.send_test(made.subscription.pk, principal="t")

    assert forget_deliveries(older_than=3600, limit=10) == 0
    assert forget_deliveries(older_than=0, limit=10) == 1
    assert (Delivery.objects.get().state, DeliveryAttempt.objects.count()) == ("PENDING", 0)


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"url": "http://10.0.0.1/", "types": ["*"]}, ["url"]),
        ({"url": "https://127.0.0.1/", "types": ["*"]}, ["url"]),
        ({"url": "https://user:pass@example.com/", "types": ["*"]}, ["url"]),
        ({"url": "https://example.com/", "types": ["a*b"], "source": "x*y"}, ["source", "types[0]"]),
        ({"url": "https://example.com/", "types": []}, ["types"]),
        ({"url": "https://example.com/", "types": ["a"], "kind": 1}, ["kind"]),
        ({"types": ["a"]}, ["url"]),
    ],
)
def test_a_subscription_with_faults_is_refused_with_all_of_them(
    api: Api, settings: Any, body: dict[str, Any], paths: list[str]
) -> None:
    settings.ERIP_WEBHOOK_ALLOW_PRIVATE = False

    answer = api.post("/subscriptions", body)

    assert answer.status_code == 422, answer.content
    assert sorted(fault["path"] for fault in answer.json()["faults"]) == paths


def test_who_may_only_look_may_not_subscribe() -> None:
    keys.forget_cached()
    viewer = Api(key(Scope.VIEWER))

    assert viewer.post("/subscriptions", {"url": "https://example.com", "types": ["*"]}).status_code == 403
    assert viewer.get("/subscriptions").status_code == 403


def test_a_subscription_is_listed_changed_and_deleted_with_its_deliveries(api: Api, receiver: Receiver) -> None:
    made = subscribe(receiver, "a.b")
    subscriptions.send_test(made.subscription.pk, principal="t")
    address = f"/subscriptions/{made.subscription.pk}"

    assert api.send("PATCH", address, b'{"types": ["c.*"], "source": "/s"}').json()["types"] == ["c.*"]
    assert api.send("PATCH", address, b'{"types": ["*c"]}').status_code == 422
    assert [one["source"] for one in api.get("/subscriptions").json()["items"]] == ["/s"]
    assert api.send("DELETE", address, b"").status_code == 204
    assert api.get(address).json()["code"] == "unknown-subscription"
    assert api.get("/deliveries/1").json()["code"] == "unknown-delivery"
    assert not Delivery.objects.exists()


def test_a_replay_reaches_the_subscription_that_it_names(receiver: Receiver) -> None:
    from workflows.events.effects import LoggedEvent, Round

    first, second = subscribe(receiver, "nexus.*"), subscribe(receiver, "*")
    with consuming(SubscriptionsEffect()):
        accept([event(id="1", type="nexus.threat.detected")])
        until(settled("PENDING", 2))
    row = Event.objects.get()
    effect = SubscriptionsEffect()
    target = f"subscriptions:{first.subscription.pk}"
    again = LoggedEvent(
        row.partition, row.position, row.logged_at, row.accepted_at, row.type, row.source, row.subject, row.event_id,
        row.event.encode(), replay=target,
    )  # fmt: skip

    assert effect.plan(target, [again]) == {str(first.subscription.pk): 1}
    effect.apply(Round([again], 1))

    counts = {sub.pk: sub.deliveries.count() for sub in Subscription.objects.all()}
    assert counts == {first.subscription.pk: 2, second.subscription.pk: 1}
    with pytest.raises(LookupError):
        effect.plan("subscriptions:nobody", [])
