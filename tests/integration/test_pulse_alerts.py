"""Alerts on a real database, with a real receiver: judged once, announced once, and also while PostgreSQL is away."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from standardwebhooks import Webhook

from erip.access.scopes import Scope
from erip.settings.declared import DECLARED
from monitoring import oncall, reaching, store
from monitoring.alerting import SHIPPED, Judging, as_stored, shipped
from monitoring.backtest import backtest
from monitoring.collecting import Collector
from monitoring.conf import conf
from monitoring.core.rules import MOST_RULES, read_rule
from monitoring.core.series import series
from monitoring.models import Alert, AlertRule, Frame, Page
from monitoring.paging import send_due, unusable
from monitoring.watching import watching
from tests.definitions import CHAIN, publish
from tests.support.api import Api, key
from tests.support.receiver import Receiver, receiving
from tests.support.relay import Relay
from tests.workers import ROOT, environment, leader, until
from workflows import engine

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "whsec_dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3Rz"
WAITS = {
    "name": "much-waits", "summary": "Much waits", "severity": "page", "metric": "erip_lane_waiting_steps",
    "where": {"lane": "standard"}, "by": ["lane"], "above": 2, "keep_firing_for": "0s", "runbook": "work-late",
}  # fmt: skip


#: the least that a message says
BODY: dict[str, Any] = {"title": "t", "severity": "page", "alerts": [], "impact": {}}


def as_of_now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with receiving() as made:
        settings.ERIP_ALERT_WEBHOOKS = [made.url]
        settings.ERIP_ALERT_WEBHOOK_SECRET = SECRET
        settings.ERIP_ALERT_ALLOW_PRIVATE = True
        conf.cache_clear()
        yield made
    watching.stop()
    conf.cache_clear()


@pytest.fixture
def api() -> Api:
    return Api(key(Scope.AUTHOR))


def only(**changes: Any) -> None:
    """The one rule that is in force."""
    for name in shipped():
        store.put_rule(name, None, by="test")
    store.put_rule("much-waits", read_rule({**WAITS, **changes}), by="test")


def next_tick(collector: Collector) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_frame SET at = at - interval '10 s' WHERE tier = 10")
    return collector.tick()


def read(receiver: Receiver, number: int) -> dict[str, Any]:
    """The message of this post, whose signature is good."""
    post = receiver.posts[number]
    return dict(Webhook(SECRET).verify(post.body, post.headers))


def test_an_alert_is_posted_signed_with_its_impact_and_so_is_its_end(receiver: Receiver) -> None:
    publish(CHAIN)
    only()
    collector, other = Collector(), Collector()
    engine.start_runs("chain", [engine.StartRequest({"times": 1})] * 3, principal="t")
    assert collector.tick()
    assert next_tick(collector)
    assert not other.tick(), "whoever did not write the frame judges nothing"

    assert send_due() == 1
    body = read(receiver, 0)
    assert (body["state"], body["severity"], body["cause"]) == ("firing", "page", "much-waits")
    assert body["title"] == "Much waits [lane standard]"
    assert body["impact"]["waiting_steps"]["standard"] == 3
    assert body["alerts"][0]["value"] == 3
    assert body["alerts"][0]["runbook"] == "work-late"
    assert send_due() == 0

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM workflows_steprun")
    next_tick(collector)
    assert send_due() == 1
    assert read(receiver, 1)["state"] == "resolved"
    assert Alert.objects.get().stage == "resolved"
    next_tick(collector)
    assert send_due() == 0


def test_a_message_whose_sender_was_killed_is_sent_again_under_the_same_id(receiver: Receiver) -> None:
    publish(CHAIN)
    only()
    engine.start_runs("chain", [engine.StartRequest({"times": 1})] * 3, principal="t")
    collector = Collector()
    collector.tick()
    next_tick(collector)

    (claimed,) = store.claim_pages()
    assert store.claim_pages() == [], "for one sender alone"
    # It was killed before it noted anything, perhaps after it sent.
    Page.objects.update(due_at=datetime.now(UTC))
    receiver.answer = lambda number: (503, {}) if number == 1 else (204, {})
    assert send_due() == 0
    assert "503" in Page.objects.get().error
    Page.objects.update(due_at=datetime.now(UTC))
    assert send_due() == 1
    assert {post.headers["webhook-id"] for post in receiver.posts} == {str(claimed[1])}


def test_a_receiver_that_refuses_for_good_is_given_up_and_others_are_not(receiver: Receiver, settings: Any) -> None:
    settings.ERIP_ALERT_EMAILS = ["night@example.org"]
    conf.cache_clear()
    publish(CHAIN)
    only(summary="Much\nwaits")
    engine.start_runs("chain", [engine.StartRequest({"times": 1})] * 3, principal="t")
    collector = Collector()
    collector.tick()
    next_tick(collector)
    receiver.answer = lambda number: (410, {})

    assert send_due() == 1
    assert {page.target.partition(":")[0]: page.failed for page in Page.objects.all()} == {
        "webhook": True,
        "mail": False,
    }
    (sent,) = mail.outbox
    assert sent.subject == "[ERIP page] Much waits [lane standard]"
    assert "what to do: work-late" in sent.body


def test_a_target_that_takes_nothing_is_asked_once_in_a_round_and_keeps_no_other_back(receiver: Receiver) -> None:
    receiver.answer = lambda number: (503, {})
    with receiving() as other:
        for _ in range(4):
            store.put_pages([(uuid4(), f"webhook:{receiver.url}", BODY), (uuid4(), f"webhook:{other.url}", BODY)])
        assert send_due() == 4
        assert (len(receiver.posts), len(other.posts)) == (1, 4)
        assert Page.objects.filter(sent_at__isnull=True, failed=False, due_at__gt=as_of_now()).count() == 4
        receiver.answer = lambda number: (204, {})
        Page.objects.filter(sent_at__isnull=True).update(due_at=as_of_now())
        assert send_due() == 4


def test_a_url_that_can_never_be_called_is_named_at_the_start_and_is_not_told(settings: Any) -> None:
    hidden = "services/T0/B0/tellnobody"
    urls = [f"http://hooks.example.org/{hidden}", f"ftp://hooks.example.org/{hidden}", f"https://u:p@x.org/{hidden}"]
    settings.ERIP_ALERT_WEBHOOKS = [f"https://hooks.example.org/{hidden}", *urls]
    settings.ERIP_ALERT_WEBHOOK_SECRET = SECRET
    settings.ERIP_ALERT_ALLOW_PRIVATE = False
    conf.cache_clear()
    try:
        faults = unusable()
        assert [fault.partition(":")[0] for fault in faults] == ["webhook 2", "webhook 3", "webhook 4"]
        store.put_pages([(uuid4(), f"webhook:{url}", BODY) for url in urls])
        send_due()
    finally:
        conf.cache_clear()
    told = [*faults, *Page.objects.values_list("error", flat=True)]
    assert Page.objects.filter(failed=True).count() == 3
    assert not [text for text in told if "tellnobody" in text]
    assert DECLARED["ERIP_ALERT_WEBHOOKS"].secret


def test_a_secret_that_is_none_keeps_no_mail_back(receiver: Receiver, settings: Any) -> None:
    settings.ERIP_ALERT_EMAILS = ["night@example.org"]
    settings.ERIP_ALERT_WEBHOOK_SECRET = "whsec_%%%"
    conf.cache_clear()
    store.put_pages(
        [
            (uuid4(), target, {"title": "x", "severity": "page", "alerts": [], "impact": {}})
            for target in (*conf().targets, "webhook:https://[", "mail:")
        ]
    )
    send_due()
    assert [message.to for message in mail.outbox] == [["night@example.org"]]
    assert receiver.posts == []
    assert {
        "ERIP_ALERT_WEBHOOK_SECRET" in page.error for page in Page.objects.filter(target__startswith="webhook")
    } == {True}


def test_a_backtest_changes_at_the_same_ticks_as_the_rule_did_live() -> None:
    only(**{"for": "20s", "keep_firing_for": "30s", "above": 0.1})
    store.learn_series([(series("erip_lane_waiting_steps", lane="standard"), False)])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    chance, judging = random.Random(7), Judging()
    live: list[tuple[datetime, str]] = []
    ticks = 200
    for number in range(1, ticks + 1):
        at = start + timedelta(seconds=10 * number)
        value = chance.choice([0.0, 0.1, 0.1, 0.3, 0.3, 0.3, None])
        before = {row["serial"]: row["stage"] for row in Alert.objects.values()}
        with transaction.atomic():
            assert store.append_frame(at, [value])
            judging.tick(
                {series("erip_lane_waiting_steps", lane="standard"): as_stored(value)},
                at.timestamp(),
                now=at.timestamp(),
            )
        after = {row["serial"]: row["stage"] for row in Alert.objects.values()}
        live += [(at, stage) for serial, stage in after.items() if before.get(serial) != stage]
        live += [(at, "inactive") for serial in before if serial not in after]

    found = backtest(
        read_rule({**WAITS, "for": "20s", "keep_firing_for": "30s", "above": 0.1}),
        since=start,
        until=start + timedelta(seconds=10 * ticks),
    )

    assert [(change["at"], change["stage"]) for change in found["changes"]] == live
    assert (found["ticks"], found["missing"]) == (ticks, 0)
    assert found["fired"] > 1


def test_there_are_as_many_rules_as_can_be_judged_at_each_tick(api: Api) -> None:
    AlertRule.objects.bulk_create(
        AlertRule(name=f"r{number}", document=None, changed_by="t", changed_at=as_of_now())
        for number in range(MOST_RULES)
    )
    body = json.dumps({"rule": {key: value for key, value in WAITS.items() if key != "name"}}).encode()
    answer = api.send("PUT", "/alerts/rules/one-more", body)
    assert (answer.status_code, json.loads(answer.content)["faults"][0]["path"]) == (422, "rule")
    assert (
        api.send("PUT", "/alerts/rules/r1", json.dumps({"rule": {**WAITS, "name": "r1"}}).encode()).status_code == 200
    )


def test_rules_are_kept_refused_with_all_faults_tried_and_deleted(api: Api) -> None:
    document = {name: value for name, value in WAITS.items() if name != "name"}

    def put(name: str, body: Any) -> Any:
        return api.send("PUT", f"/alerts/rules/{name}", json.dumps(body).encode())

    answer = put("much-waits", {"rule": {**document, "for": "x", "by": 3, "names": 1, "name": "other"}})
    assert answer.status_code == 422
    assert {fault["path"] for fault in answer.json()["faults"]} == {"rule.for", "rule.by", "rule.names", "rule.name"}
    assert put("much-waits", {}).status_code == 422
    assert put("much-waits", {"enabled": False}).status_code == 422
    assert not AlertRule.objects.exists()

    assert put("much-waits", {"rule": document}).status_code == 201
    assert put("much-waits", {"rule": document}).status_code == 200
    assert put("redis-down", {"enabled": False}).status_code == 201
    listed = {one["name"]: one for one in api.get("/alerts/rules").json()["items"]}
    assert (listed["much-waits"]["origin"], listed["redis-down"]["enabled"]) == ("own", False)
    # What is read can be put.
    assert put("much-waits", {"rule": listed["much-waits"]["rule"]}).status_code == 200

    tried = api.post("/alerts/rules/much-waits/backtest", {"range": "1h"})
    assert (tried.status_code, tried.json()["ticks"], tried.json()["missing"]) == (200, 0, 360)
    assert api.post("/alerts/rules/nothing/backtest").status_code == 404
    assert api.send("DELETE", "/alerts/rules/much-waits", b"").status_code == 204
    assert api.send("DELETE", "/alerts/rules/much-waits", b"").status_code == 404
    assert Api(key(Scope.VIEWER)).send("PUT", "/alerts/rules/x", b"{}").status_code == 403


def test_alerts_are_acknowledged_once_and_silences_end(api: Api, receiver: Receiver) -> None:
    publish(CHAIN)
    only()
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert api.post("/alerts/silences", {"reason": "", "ends_at": "2020-01-01T00:00:00Z"}).status_code == 422
    refused = api.post("/alerts/silences", {"reason": "x", "ends_at": "2020-01-01T00:00:00Z"})
    assert {fault["path"] for fault in refused.json()["faults"]} == {"ends_at", "rule"}
    made = api.post("/alerts/silences", {"labels": {"lane": "standard"}, "reason": "a drill", "ends_at": ends})
    assert made.status_code == 201
    engine.start_runs("chain", [engine.StartRequest({"times": 1})] * 3, principal="t")
    collector = Collector()
    collector.tick()
    next_tick(collector)

    (alert,) = api.get("/alerts", stage="firing").json()["items"]
    assert (alert["labels"], alert["announced"]) == ({"lane": "standard"}, None)
    assert send_due() == 0
    assert api.send("DELETE", f"/alerts/silences/{made.json()['id']}", b"").status_code == 204
    assert api.send("DELETE", f"/alerts/silences/{made.json()['id']}", b"").status_code == 404
    assert api.get("/alerts/silences").json() == {"items": []}
    next_tick(collector)
    assert send_due() == 1, "it still fires when the silence ends"

    taken = api.post(f"/alerts/{alert['id']}/acknowledge", {"note": "on it"})
    assert (taken.status_code, taken.json()["note"]) == (200, "on it")
    assert api.post(f"/alerts/{alert['id']}/acknowledge").status_code == 409
    assert api.post("/alerts/999999/acknowledge").status_code == 404


def test_leaders_page_while_postgresql_is_away_also_one_that_is_started_then_and_record_it_afterwards(
    tmp_path: Path, receiver: Receiver
) -> None:
    """The leader that announced the outage is killed in it. The one that is started in its place never saw PostgreSQL:
    it knows from its memory whom to call next, where to, and what was said."""
    db = connection.settings_dict
    with (
        receiving() as outside,
        receiving() as primary,
        receiving() as secondary,
        Relay((str(db["HOST"]), int(db["PORT"]))) as path,
    ):
        for name, called in (("primary", primary), ("secondary", secondary)):
            reaching.put_channel(
                name, {"kind": "webhook", "address": called.url, "key": SECRET, "hears": "none"}, by="test"
            )
        rungs = [{"to": [f"channel/{name}"], "wait": "10s"} for name in ("primary", "secondary")]
        oncall.put_plan({"people": {}, "rotations": {}, "ladders": {"default": {"rungs": rungs}}}, by="test")
        surroundings = {
            "DATABASE_URL": f"postgres://{db['USER']}:{db['PASSWORD']}@127.0.0.1:{path.port}/{db['NAME']}",
            "ERIP_STATE_DIR": str(tmp_path / "state"),
            "ERIP_PULSE_EVERY_SECONDS": "1",
            "ERIP_ALERT_WEBHOOKS": receiver.url,
            "ERIP_ALERT_WEBHOOK_SECRET": SECRET,
            "ERIP_ALERT_ALLOW_PRIVATE": "true",
            "ERIP_ALERT_HEARTBEAT_URL": outside.url,
        }
        with leader(tmp_path / "log", **surroundings):
            until(lambda: outside.posts, seconds=90, what="a service outside hears that it is alive")
            until(Frame.objects.exists, what="the leader collects")
            path.swallow()
            until(lambda: receiver.posts and primary.posts, seconds=60, what="it pages, and calls the first rung")
            body = read(receiver, 0)
            assert (body["cause"], body["state"], body["severity"]) == ("postgresql", "firing", "page")
            assert body["causes"][0]["component"] == "postgresql", "the page names the cause"
            assert body["causes"][0]["evidence"]
            memory = tmp_path / "state" / "pulse" / "memory.json"
            until(lambda: '"announced": "firing"' in memory.read_text(), what="it remembers what it said")
        with leader(tmp_path / "log", **surroundings):
            until(lambda: secondary.posts, seconds=150, what="the other one calls the second rung")
            called = json.loads(secondary.posts[0].body)
            assert (called["escalation"]["rung"], called["state"], called["cause"]) == (2, "firing", "postgresql")
            for one in (receiver, primary):
                assert len({post.headers["webhook-id"] for post in one.posts}) == 1, "nothing was announced anew"
            done = subprocess.run(
                [sys.executable, "manage.py", "pulse", "take-on", "--note", "on it"],
                cwd=ROOT, env=environment() | surroundings, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stdout[:19]) == (0, "PostgreSQL is away:"), done.stderr[-2_000:]
            until(lambda: '"acknowledged": true' in memory.read_text(), seconds=60, what="the leader knows of it")
            path.mend()
            # The leader may judge a frame by what it saw last before it sees that PostgreSQL is back: then there is a
            # pending alert for a moment, and what it announced meanwhile is recorded there.
            announced = Alert.objects.filter(rule="postgresql-down", announced="firing", rung=2, note="on it")
            until(announced.exists, seconds=90, what="it is recorded")
            assert Alert.objects.get(rule="postgresql-down").acknowledged_by.startswith("command:")
            # By now its end may have been announced, and what a busy machine has brought about besides.
            told = [(json.loads(post.body), post.headers["webhook-id"]) for post in receiver.posts]
            fired = {id_ for body, id_ in told if (body["cause"], body["state"]) == ("postgresql", "firing")}
            assert len(fired) == 1


def test_a_file_of_rules_is_checked_and_every_fault_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules: [{name: A, summary: x}, {}]\nmore: 1\n")
    with pytest.raises(CommandError) as caught:
        call_command("pulse", "rules", "check", str(file))
    assert len(str(caught.value).splitlines()) > 5
    call_command("pulse", "rules", "check", str(SHIPPED))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("pulse", "rules", "check", str(tmp_path / "none"))
