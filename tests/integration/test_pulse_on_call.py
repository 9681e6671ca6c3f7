"""Escalation on a real database: whom an alert calls, over a clock that the test sets; and the doors of the plan."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import icalendar
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from erip.access.scopes import Scope
from monitoring import oncall, reaching, store
from monitoring.alerting import Judging, as_stored, shipped
from monitoring.conf import conf
from monitoring.core.rules import read_rule
from monitoring.core.series import series
from monitoring.models import Alert, AlertChannel, AlertRule, OnCallCalendar, Page
from monitoring.paging import send_due
from tests.support.api import Api, key
from tests.support.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "whsec_dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3Rz"
RULE = {
    "name": "much-waits", "summary": "Much waits", "severity": "page", "metric": "erip_lane_waiting_steps",
    "by": ["lane"], "above": 2, "keep_firing_for": "0s",
}  # fmt: skip
WEEKLY = {"zone": "Europe/Berlin", "starts": "2026-01-05", "at": ["09:00"], "days": 7}
PLAN: dict[str, Any] = {
    "people": {"ana": ["ana"], "ben": ["ben"], "cem": ["cem"]},
    "rotations": {
        "primary": {**WEEKLY, "people": ["ana", "ben"]},
        "secondary": {**WEEKLY, "people": ["cem"]},
    },
    "ladders": {
        "default": {
            "rungs": [
                {"to": ["on-call/primary"], "wait": "5m"},
                {"to": ["on-call/secondary"], "wait": "10m"},
                {"to": ["everyone/primary", "everyone/secondary", "channel/ops"], "wait": "15m"},
            ]
        }
    },
}
#: a Wednesday on which ana is on call
BEGIN = datetime(2026, 1, 7, 12, tzinfo=UTC)


@dataclass
class Line:
    """Ticks over a clock of the test."""

    judging: Judging = field(default_factory=Judging)
    now: datetime = BEGIN

    def judge(self, values: dict[str, float | None]) -> None:
        frame = {series("erip_lane_waiting_steps", lane=lane): as_stored(value) for lane, value in values.items()}
        with transaction.atomic():
            self.judging.tick(frame, self.now.timestamp(), now=self.now.timestamp())

    def tick(self, values: dict[str, float | None], *, after: float = 10.0) -> list[tuple[str, ...]]:
        """Judge after so many seconds. Returns for each new message its state, its rung, and whom it goes to."""
        self.now += timedelta(seconds=after)
        before = set(Page.objects.values_list("id", flat=True))
        self.judge(values)
        made: dict[Any, list[Page]] = {}
        for page in Page.objects.order_by("id"):
            if page.id not in before:
                made.setdefault(page.message, []).append(page)
        found = []
        for pages in made.values():
            body = pages[0].body
            rung = body["escalation"]["rung"] if body["escalation"] else 0
            found.append((body["state"], str(rung), *sorted(page.target.removeprefix("channel:") for page in pages)))
        return sorted(found)


@pytest.fixture
def line() -> Iterator[Line]:
    conf.cache_clear()
    for name in shipped():
        store.put_rule(name, None, by="test")
    store.put_rule("much-waits", read_rule(RULE), by="test")
    for name in ("ana", "ben", "cem", "ops"):
        reaching.put_channel(name, {"kind": "mail", "address": f"{name}@example.org"}, by="test")
    oncall.put_plan(PLAN, by="test")
    yield Line()
    conf.cache_clear()


@pytest.fixture
def api() -> Api:
    return Api(key(Scope.ADMIN))


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.ERIP_ALERT_ALLOW_PRIVATE = True
    with receiving() as made:
        yield made


HIGH, LOW = {"standard": 5.0}, {"standard": 0.0}


def fire(line: Line) -> list[tuple[str, ...]]:
    return line.tick(HIGH) + line.tick(HIGH)


def test_primary_then_secondary_then_all_and_the_end_goes_to_all_who_were_called(line: Line) -> None:
    assert line.tick(HIGH) + line.tick(HIGH) == [("firing", "0", "ana")]
    assert line.tick(HIGH, after=280) == []
    assert line.tick(HIGH, after=20) == [("firing", "2", "cem")]
    assert line.tick(HIGH, after=590) == []
    assert line.tick(HIGH, after=10) == [("firing", "3", "ana", "ben", "cem", "ops")]
    assert line.tick(HIGH, after=86_400) == []
    assert line.tick(LOW) == [("resolved", "0", "ana", "ben", "cem", "ops")]
    assert line.tick(LOW, after=3_600) == []


def test_an_acknowledgement_stops_the_ladder_of_all_that_one_message_announced(line: Line, api: Api) -> None:
    both = {"standard": 5.0, "bulk": 7.0}
    line.tick(both)
    line.tick(both)
    assert Alert.objects.values("grouped").distinct().count() == 1
    taken = Alert.objects.get(labels=[["lane", "bulk"]])
    assert api.post(f"/alerts/{taken.pk}/acknowledge", {"note": "on it"}).status_code == 200
    assert line.tick(both, after=3_600) == []
    assert line.tick({"standard": 0.0, "bulk": 0.0}) == [("resolved", "0", "ana")]


def test_whoever_is_on_call_at_the_moment_of_the_call_is_called(line: Line) -> None:
    # Monday, 9:00 in Berlin is 8:00 UTC; the alert fires ten minutes before, and ben takes over.
    repeating = {**PLAN["ladders"]["default"], "rungs": PLAN["ladders"]["default"]["rungs"][:1], "repeat": 2}
    oncall.put_plan({**PLAN, "ladders": {"default": repeating}}, by="test")
    line.now = datetime(2026, 1, 12, 7, 53, tzinfo=UTC)
    assert fire(line) == [("firing", "0", "ana")]
    assert line.tick(HIGH, after=300) == [("firing", "2", "ana")]
    assert line.tick(HIGH, after=300) == [("firing", "3", "ben")]
    assert line.tick(HIGH, after=86_400) == []


def test_a_silence_holds_the_ladder_and_its_end_goes_on_where_it_stopped(line: Line, api: Api) -> None:
    fire(line)
    ends = line.now + timedelta(hours=1)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_silence (rule, labels, reason, created_at, created_by, ends_at)"
            " VALUES ('much-waits', '{}', 'x', now(), 't', %s)",
            [ends],
        )
    assert line.tick(HIGH, after=1_800) == []
    assert line.tick(HIGH, after=1_900) == [("firing", "2", "cem")], "and not all rungs at once"
    assert line.tick(HIGH, after=10) == []


def test_an_override_is_called_in_place_of_whose_turn_it_is(line: Line) -> None:
    until = datetime.now(UTC) + timedelta(days=1)
    store.add_override(rotation="primary", person="cem", starts=BEGIN, ends=until, reason="", by="test")
    assert fire(line) == [("firing", "0", "cem")]


def test_a_rule_may_name_a_ladder_and_where_that_is_gone_nobody_is_left_out(line: Line) -> None:
    quiet = {"rungs": [{"to": ["channel/ops"], "wait": "1h"}]}
    oncall.put_plan({**PLAN, "ladders": {**PLAN["ladders"], "quiet": quiet}}, by="t")
    store.put_rule("much-waits", read_rule({**RULE, "severity": "ticket", "ladder": "quiet"}), by="t")
    assert fire(line) == [("firing", "0", "ops")]
    line.tick(LOW)
    oncall.put_plan(PLAN, by="test")
    assert fire(line) == [("firing", "0", "ana")]


def test_without_a_plan_a_page_goes_to_the_channels_that_hear_pages(line: Line) -> None:
    oncall.put_plan({}, by="test")
    reaching.put_channel("ops", {"hears": "all"}, by="test")
    reaching.put_channel("ben", {"hears": "pages"}, by="test")
    assert fire(line) == [("firing", "0", "ben", "ops")]
    store.put_rule("much-waits", read_rule({**RULE, "severity": "ticket"}), by="t")
    assert line.tick(LOW) == [("resolved", "0", "ops")]


class Killed(BaseException):
    """The process was killed before this statement."""


def test_an_evaluator_that_is_killed_before_any_statement_makes_each_call_once(line: Line) -> None:
    fire(line)
    statement, done = 0, False
    while not done:
        statement += 1
        count = 0

        def kill(execute: Any, sql: Any, params: Any, many: Any, context: Any, at: int = statement) -> Any:
            nonlocal count
            count += 1
            if count == at:
                raise Killed
            return execute(sql, params, many, context)

        # Each one is a new process, that knows nothing but what is in the database.
        with suppress(Killed), connection.execute_wrapper(kill):
            Line(now=line.now + timedelta(seconds=310)).judge(HIGH)
            done = True
        assert Page.objects.filter(body__escalation__rung=2).count() == done
    assert statement > 8, "it was killed at each of them"
    assert Line(now=line.now + timedelta(seconds=310)).tick(HIGH) == []


def test_a_call_that_two_make_has_one_id(line: Line) -> None:
    fire(line)
    kept = list(Alert.objects.values("rung", "rung_at", "told"))
    assert line.tick(HIGH, after=310) == [("firing", "2", "cem")]
    # Another one judged by what was so before: a leader without a database, or one that was frozen.
    Alert.objects.update(**kept[0])
    Page.objects.update(sent_at=line.now)
    assert Line(now=line.now).tick(HIGH) == [], "the message is there already"
    assert Page.objects.filter(body__escalation__rung=2).count() == 1


def test_a_sender_that_stood_still_leaves_what_it_claimed_to_others(line: Line, receiver: Receiver) -> None:
    reaching.put_channel("ana", {"kind": "webhook", "address": receiver.url, "key": SECRET}, by="t")
    fire(line)
    # It was frozen after it claimed, until its claim was over.
    assert send_due(claimed_for=0.0) == 0
    assert (receiver.posts, store.claim_pages()) == ([], []), "the claim lasts: nobody else sends meanwhile"
    Page.objects.update(due_at=datetime.now(UTC))
    assert send_due() == 1
    assert len(receiver.posts) == 1


def test_an_end_is_not_sent_before_what_it_ends(line: Line, receiver: Receiver) -> None:
    reaching.put_channel("ana", {"kind": "pagerduty", "address": receiver.url, "key": "0" * 32}, by="t")
    fire(line)
    receiver.answer = lambda number: (503, {})
    assert send_due() == 0
    line.tick(LOW)
    receiver.answer = lambda number: (202, {})
    assert send_due() == 0, "the beginning waits for its next attempt"
    Page.objects.update(due_at=datetime.now(UTC))
    assert send_due() == 1
    assert send_due() == 1
    events = [json.loads(post.body) for post in receiver.posts]
    assert [event["event_action"] for event in events] == ["trigger", "trigger", "resolve"]
    assert len({event["dedup_key"] for event in events}) == 1


def test_an_acknowledgement_reaches_pagerduty_under_the_key_of_the_incident(
    line: Line, api: Api, receiver: Receiver
) -> None:
    reaching.put_channel("ana", {"kind": "pagerduty", "address": receiver.url, "key": "0" * 32}, by="t")
    fire(line)
    assert send_due() == 1
    assert api.post(f"/alerts/{Alert.objects.get().pk}/acknowledge").status_code == 200
    assert send_due() == 1
    trigger, acknowledge = (json.loads(post.body) for post in receiver.posts)
    assert (acknowledge["event_action"], acknowledge["dedup_key"]) == ("acknowledge", trigger["dedup_key"])


def test_the_plan_is_put_read_and_refused_with_all_faults(line: Line, api: Api) -> None:
    read = api.get("/alerts/on-call").json()
    assert {one["rotation"]: one["next"] for one in read["now"]}["secondary"] == "cem"
    # What is read can be put.
    assert api.send("PUT", "/alerts/on-call", json.dumps({"plan": read["plan"]}).encode()).status_code == 200
    bad = {"people": {"ana": ["nowhere"]}, "rotations": {"r": {"zone": "x", "people": ["dora"]}}, "more": 1}
    refused = api.send("PUT", "/alerts/on-call", json.dumps({"plan": bad}).encode())
    assert refused.status_code == 422
    paths = {fault["path"] for fault in refused.json()["faults"]}
    assert paths >= {"people.ana[0]", "rotations.r.zone", "rotations.r.people[0]", "rotations.r.starts", "more"}
    assert api.get("/alerts/on-call").json()["plan"] == read["plan"]

    held = api.send("DELETE", "/alerts/channels/ops", b"")
    assert (held.status_code, held.json()["type"].rpartition("/")[2]) == (409, "urn:erip:problem:channel-in-use")
    shifts = api.get("/alerts/on-call/rotations/primary").json()["items"]
    assert all(one["ends"] == other["starts"] for one, other in pairwise(shifts))
    assert api.get("/alerts/on-call/rotations/none").status_code == 404

    now = datetime.now(UTC)
    times = {"starts_at": now.isoformat(), "ends_at": (now + timedelta(hours=2)).isoformat()}
    wrong = api.post(
        "/alerts/on-call/overrides",
        {"rotation": "none", "person": "dora", "starts_at": times["ends_at"], "ends_at": "2020-01-01T00:00:00Z"},
    )
    assert {fault["path"] for fault in wrong.json()["faults"]} == {"rotation", "person", "ends_at"}
    made = api.post("/alerts/on-call/overrides", {"rotation": "primary", "person": "cem", **times, "reason": "ill"})
    assert made.status_code == 201
    assert {one["rotation"]: one["person"] for one in api.get("/alerts/on-call").json()["now"]}["primary"] == "cem"
    assert api.send("DELETE", f"/alerts/on-call/overrides/{made.json()['id']}", b"").status_code == 204
    assert api.send("DELETE", f"/alerts/on-call/overrides/{made.json()['id']}", b"").status_code == 404
    assert Api(key(Scope.VIEWER)).send("PUT", "/alerts/on-call", b"{}").status_code == 403


def test_a_calendar_is_read_by_its_secret_address_and_by_no_other(line: Line, api: Api, client: Client) -> None:
    now = datetime.now(UTC)
    store.add_override(
        rotation="primary", person="cem", starts=now, ends=now + timedelta(hours=1), reason="", by="test"
    )
    url = api.post("/alerts/on-call/rotations/primary/calendar").json()["url"]
    path = urlsplit(url).path
    answer = client.get(path)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    events = icalendar.Calendar.from_ical(answer.content).walk("VEVENT")
    assert len(events) > 25
    assert len({str(event["uid"]) for event in events}) == len(events)
    assert [event for event in events if str(event["summary"]).startswith("primary: cem (instead of ")]
    ordered = sorted(events, key=lambda event: event["dtstart"].dt)
    for one, other in pairwise(ordered):
        assert one["dtend"].dt == other["dtstart"].dt
    assert client.post(path).status_code == 405
    assert client.get(path.replace(".ics", "x.ics")).status_code == 404
    # The address is not stored, and the next one ends it.
    assert path.rpartition("/")[2].removesuffix(".ics") not in str(OnCallCalendar.objects.values().get())
    assert api.post("/alerts/on-call/rotations/primary/calendar").status_code == 201
    assert client.get(path).status_code == 404
    assert api.post("/alerts/on-call/rotations/none/calendar").status_code == 404


def put(api: Api, name: str, document: Any) -> Any:
    return api.send("PUT", f"/alerts/channels/{name}", json.dumps(document).encode())


def test_channels_are_put_tested_and_never_shown(api: Api, receiver: Receiver, settings: Any) -> None:
    hidden = receiver.url.replace("/hook", "/services/tellnobody")
    made = put(api, "ops", {"kind": "slack", "address": hidden, "hears": "all"})
    assert (made.status_code, made.json()["place"]) == (201, "127.0.0.1")
    assert put(api, "pd", {"kind": "pagerduty", "address": hidden, "key": "0" * 32}).status_code == 201
    assert put(api, "cards", {"kind": "teams", "address": hidden}).status_code == 201
    assert put(api, "own", {"kind": "webhook", "address": hidden, "key": SECRET}).status_code == 201

    assert [api.post(f"/alerts/channels/{name}/test").json() for name in ("ops", "pd", "cards", "own")] == [
        {"taken": True, "error": None}
    ] * 4
    slack, trigger, resolve, card, own = [json.loads(post.body) for post in receiver.posts]
    assert "test" in slack["text"]
    assert (trigger["event_action"], trigger["payload"]["severity"]) == ("trigger", "info")
    assert (resolve["event_action"], resolve["dedup_key"]) == ("resolve", trigger["dedup_key"])
    assert card["attachments"][0]["content"]["type"] == "AdaptiveCard"
    assert (own["state"], "webhook-signature" in receiver.posts[-1].headers) == ("test", True)

    receiver.answer = lambda number: (404, {})
    failed = api.post("/alerts/channels/ops/test").json()
    assert failed["taken"] is False
    assert "404" in failed["error"]
    settings.ERIP_ALERT_ALLOW_PRIVATE = False
    refused = api.post("/alerts/channels/ops/test").json()
    assert "not an https URL" in refused["error"]
    said = json.dumps([failed, refused, api.get("/alerts/channels").json(), made.json()])
    assert "tellnobody" not in said
    assert "tellnobody" not in str(list(AlertChannel.objects.values()))
    assert api.post("/alerts/channels/none/test").status_code == 404


def test_a_key_does_not_follow_to_another_address(api: Api, receiver: Receiver) -> None:
    assert put(api, "pd", {"kind": "pagerduty", "address": receiver.url, "key": "0" * 32}).status_code == 201
    moved = put(api, "pd", {"address": receiver.url.replace("/hook", "/elsewhere")})
    assert (moved.status_code, [fault["path"] for fault in moved.json()["faults"]]) == (422, ["key"])
    assert put(api, "pd", {"hears": "pages"}).status_code == 200
    assert put(api, "pd", {"kind": "slack"}).status_code == 422, "the address of another kind is not taken over"
    nothing = put(api, "new", {})
    assert {fault["path"] for fault in nothing.json()["faults"]} == {"kind"}


def test_a_channel_whose_secret_cannot_be_read_any_more_says_so(api: Api, receiver: Receiver, settings: Any) -> None:
    put(api, "ops", {"kind": "slack", "address": receiver.url})
    settings.SECRET_KEY = "another key, which is long enough to be one"
    assert "ERIP_SECRET_KEY" in (reaching.try_channel("ops") or "")


def blocks(page: str) -> list[str]:
    """The YAML of a page of the documentation."""
    text = (Path(__file__).parents[2] / "docs" / "how-to" / page).read_text("utf-8")
    return re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)


def test_the_plan_and_the_rules_of_the_documentation_are_applied_from_files(
    line: Line, tmp_path: Path, capsys: Any
) -> None:
    plan, rules = tmp_path / "plan.yaml", tmp_path / "rules.yaml"
    (plan_text,), (rules_text,) = blocks("on-call.md"), blocks("alerts.md")
    plan.write_text(plan_text)
    with pytest.raises(CommandError) as caught:
        call_command("pulse", "on-call", "check", str(plan))
    assert str(caught.value).splitlines() == [
        "people.ana[0]: there is no such channel", "people.ana[1]: there is no such channel",
        "people.ben[0]: there is no such channel", "people.cem[0]: there is no such channel",
    ]  # fmt: skip
    for name in ("ana-phone", "ana-mail", "ben-phone", "cem-phone"):
        reaching.put_channel(name, {"kind": "mail", "address": "x@example.org"}, by="test")
    call_command("pulse", "on-call", "apply", str(plan))
    assert sorted(oncall.read(BEGIN).plan.rotations) == ["primary", "secondary"]

    store.drop_rule("redis-flushed")
    rules.write_text(rules_text)
    call_command("pulse", "rules", "check", str(rules))
    capsys.readouterr()
    call_command("pulse", "rules", "apply", str(rules))
    assert capsys.readouterr().out.splitlines() == ["new: standard-work-late", "off: redis-flushed"]
    call_command("pulse", "rules", "apply", str(rules))
    assert capsys.readouterr().out.splitlines() == ["same: redis-flushed, standard-work-late"]
    # One fault, and nothing is kept.
    rules.write_text(rules_text.replace("above: 60", "above: 70") + "  \n" + "more: 1\n")
    with pytest.raises(CommandError, match="more"):
        call_command("pulse", "rules", "apply", str(rules))
    assert AlertRule.objects.get(name="standard-work-late").document["above"] == 60
    rules.write_text(rules_text.replace("above: 60", "above: 70").replace("off: [redis-flushed]", "off: [gone, 3]"))
    with pytest.raises(CommandError) as caught:
        call_command("pulse", "rules", "check", str(rules))
    assert [text.partition(":")[0] for text in str(caught.value).splitlines()] == ["off[0]", "off[1]"]
    rules.write_text(rules_text.replace("above: 60", "above: 70"))
    call_command("pulse", "rules", "apply", str(rules), "--prune")
    assert "much-waits" in capsys.readouterr().out
    assert {rule.name for rule in AlertRule.objects.all()} == {"redis-flushed", "standard-work-late"}


def test_the_command_tests_channels_and_says_why_one_did_not_take_it(
    line: Line, receiver: Receiver, capsys: Any
) -> None:
    call_command("pulse", "test-alert", "ops")
    assert capsys.readouterr().out == "● channel:ops: taken\n"
    reaching.put_channel("chat", {"kind": "slack", "address": receiver.url}, by="test")
    receiver.answer = lambda number: (403, {})
    with pytest.raises(SystemExit):
        call_command("pulse", "test-alert")
    assert "✖ channel:chat: 127.0.0.1 answered 403 Forbidden\n" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no such channel: none"):
        call_command("pulse", "test-alert", "none", "ops")


def test_the_admin_puts_and_tests_what_the_api_does_and_shows_no_secret(line: Line, receiver: Receiver) -> None:
    User.objects.create_superuser("root", password="a-long-password")
    client = Client()
    client.force_login(User.objects.get(username="root"), backend="django.contrib.auth.backends.ModelBackend")
    channels = reverse("admin:monitoring_alertchannel_changelist")
    hidden = receiver.url.replace("/hook", "/tellnobody")
    form = {"name": "chat", "kind": "slack", "hears": "all", "address": hidden, "key": ""}
    assert client.post(f"{channels}add/", {**form, "address": "ftp://x"}).status_code == 200
    assert not AlertChannel.objects.filter(name="chat").exists()
    assert client.post(f"{channels}add/", form).status_code == 302
    assert client.post(f"{channels}chat/change/", {**form, "hears": "none", "address": ""}).status_code == 302
    assert AlertChannel.objects.get(name="chat").hears == "none"
    pages = [client.get(path).content.decode() for path in (channels, f"{channels}chat/change/")]
    pages += [
        client.post(channels, {"action": "send_test", "_selected_action": ["chat"]}, follow=True).content.decode()
    ]
    assert len(receiver.posts) == 1
    assert "the test was taken" in pages[-1]
    assert not [page for page in pages if "tellnobody" in page]

    plan = reverse("admin:monitoring_oncallplan_change", args=[1])
    assert "on-call/primary" in client.get(plan).content.decode()
    assert (
        "there is no such rotation"
        in client.post(plan, {"text": "ladders: {d: {rungs: [{to: [next/x], wait: 1m}]}}"}).content.decode()
    )
    assert client.post(plan, {"text": "people: {dora: [ops]}"}).status_code == 302
    assert list(oncall.read(BEGIN).plan.people) == ["dora"]
    oncall.put_plan(PLAN, by="test")

    overrides = reverse("admin:monitoring_oncalloverride_changelist")
    now = datetime.now(UTC)
    when = {"starts_at_0": f"{now:%Y-%m-%d}", "starts_at_1": "00:00:00",
            "ends_at_0": f"{now + timedelta(days=2):%Y-%m-%d}", "ends_at_1": "00:00:00"}  # fmt: skip
    wrong = client.post(f"{overrides}add/", {"rotation": "none", "person": "dora", "reason": "", **when})
    assert "there is no such rotation" in wrong.content.decode()
    assert (
        client.post(f"{overrides}add/", {"rotation": "primary", "person": "cem", "reason": "", **when}).status_code
        == 302
    )
    assert client.post(overrides, {"action": "end", "_selected_action": ["1"]}, follow=True).status_code == 200

    rules = reverse("admin:monitoring_alertrule_changelist")
    refused = client.post(f"{rules}add/", {"name": "own", "text": "severity: loud"})
    assert "severity" in refused.content.decode()
    good = "{summary: x, severity: page, metric: erip_disk_free_bytes, below: 1}"
    assert client.post(f"{rules}add/", {"name": "own", "text": good}).status_code == 302
    assert client.post(f"{rules}own/change/", {"text": good.replace("1}", "2}")}).status_code == 302
    assert AlertRule.objects.get(name="own").document["below"] == 2
    for path in (rules, overrides, f"{rules}own/change/"):
        assert client.get(path).status_code == 200
