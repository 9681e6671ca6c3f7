"""What the first page says waits for its viewer: legal clocks that press, and approvals that they may vote on."""

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from console import snapshots
from monitoring import store
from monitoring.core.frames import TICK, TIERS
from monitoring.core.series import series
from monitoring.gathering import Gathering
from people import inbox, voting, waiting
from tests.definitions import publish
from tests.integration.test_console import BACKEND, cold, fired, staff
from tests.support.clocks import legal_clock
from tests.support.four_eyes import ask_people, ballot
from workflows import engine
from workflows.clocks import pressing
from workflows.clocks.changing import dismiss, stop
from workflows.models import ApprovalTask

pytestmark = pytest.mark.django_db(transaction=True)
APPROVALS, CLOCKS, ALERTS = "workflows.view_approvaltask", "clocks.view_legalclock", "monitoring.view_alert"


@pytest.fixture(autouse=True)
def nothing_is_known_yet() -> Iterator[None]:
    cold()
    yield
    cold()


def signed_in(name: str, *permissions: str) -> Client:
    """A client of somebody who is there already."""
    user = User.objects.get(username=name)
    user.is_staff = True
    user.save()
    labels = (one.partition(".")[::2] for one in permissions)
    user.user_permissions.set(
        Permission.objects.get(content_type__app_label=label, codename=codename) for label, codename in labels
    )
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def home(client: Client, query: str = "") -> Any:
    answer = client.get(reverse("console:home") + query)
    assert answer.status_code == 200
    return answer


def needs_of(client: Client) -> dict[str, str]:
    """Address → what is said there, of "Needs you", in its order."""
    part = home(client).content.decode().partition('id="needs-title"')[2].partition("</section>")[0]
    found = re.findall(r'<a href="([^"]+)">(.*?)</a>.*?<p class="small soft">(.*?)</p>', part, re.S)
    return {url: re.sub(r"<[^>]+>", "", f"{title} | {detail}") for url, title, detail in found}


def test_legal_clocks_that_press_are_listed_with_their_moments_and_others_are_not() -> None:
    now = timezone.now()
    due = {
        name: legal_clock(now - timedelta(hours=hours), title=name, **more)
        for name, hours, more in (
            ("late", 80, {}), ("soon", 70, {"verified": False}), ("far", 2, {}), ("stopped", 71, {}), ("over", 71, {}),
        )
    }  # fmt: skip
    stop(due["stopped"].run_id, due["stopped"].pk, by="user:x", reason="The police asked.", article="§ 1")
    dismiss(due["over"].run_id, due["over"].pk, by="user:x", reason="It does not apply.")
    waits = {"detected": [{"trigger": "classified", "amount": 1, "unit": "hours", "ends": [{"rule": "eu"}]}]}
    legal_clock(now - timedelta(hours=80), title="waits", clocks=waits["detected"])
    ada = staff(CLOCKS)
    found = needs_of(ada)
    links = {name: reverse("console:clock", args=[one.pk]) for name, one in due.items()}
    assert [*found] == [links["late"], links["soon"]]
    for name, said in (("late", "Was due"), ("soon", "Is due")):
        moment = due[name].due_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        assert f"{said} {moment} · to The authority · breach-response" in found[links[name]]
    assert "GDPR: late" in found[links["late"]]
    assert "not verified" in found[links["soon"]]
    assert "not verified" not in found[links["late"]]
    # Without the right to see clocks, nothing of them.
    fired()
    cold()
    text = home(staff(ALERTS, name="bob")).content.decode()
    assert "GDPR" not in text
    assert "Redis does not serve" in text


def test_many_of_a_kind_are_one_line_and_hide_no_other_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    for number in range(9):
        legal_clock(now - timedelta(hours=80 + number), title=f"late {number}")
        fired(rule=f"rule-{number}")
    legal_clock(now - timedelta(hours=70), title="soon")
    text = home(staff(CLOCKS, ALERTS)).content.decode()
    assert "4 more legal clocks are overdue" in text
    assert "4 more alerts fire" in text
    assert "GDPR: soon" in text
    # The first are those that were due first.
    assert [n for n in range(9) if f"GDPR: late {n}<" in text] == [4, 5, 6, 7, 8]
    # What was not read is not said to be none.
    monkeypatch.setattr(pressing, "MOST", 8)
    cold()
    text = home(staff(CLOCKS, name="bob")).content.decode()
    assert "At least 3 more legal clocks are overdue" in text


def test_an_approval_waits_on_the_first_page_of_those_who_may_vote_until_they_have() -> None:
    asked = ask_people()
    task, by_key = (reverse("console:approval", args=[one.pk]) for one in (asked.task, asked.by_key))
    clients = {name: signed_in(name, APPROVALS) for name in ("cara", "dan", "sam", "ina", "lea", "kim", "amy")}
    assert {name: [*needs_of(one)] for name, one in clients.items()} == {
        # cara has voted on the first, which ina started; the key of the second is kim's; amy wrote the definition; sam
        # stands in for cara and eve; lea can refuse.
        "cara": [by_key],
        "dan": [task, by_key],
        "sam": [task, by_key],
        "ina": [by_key],
        "lea": [task, by_key],
        "kim": [task],
        "amy": [],
    }
    assert "in place of eve" in needs_of(clients["sam"])[task]
    assert "Waits for your vote · notify" in needs_of(clients["dan"])[task]
    url = reverse("console:vote", args=[asked.by_key.pk])
    voter = signed_in("dan", APPROVALS, "people.add_vote")
    given = {"choice": "approve", "content_hash": asked.by_key.content_hash, "comment": "", "form": ""}
    assert voter.post(url, given).status_code == 303
    assert [*needs_of(voter)] == [task]


def test_the_first_page_lists_what_the_inbox_lists_whoever_asks() -> None:
    """One rule, read in two ways: for one person, and for all who look."""
    asked = ask_people()
    publish("name: other\nsteps: {ask: {approval: {title: More, quorum: [{role: sales}, {role: legal}], sla: 4h}}}\n")
    engine.start_runs("other", [engine.StartRequest({}) for _ in range(3)], principal="user:lea")
    more = ApprovalTask.objects.filter(workflow="other").order_by("pk")
    voting.vote(more[1].pk, ballot(more[1], "sam"))
    User.objects.filter(username="eve").update(is_active=False)
    everybody = [f"user:{name}" for name in User.objects.values_list("username", flat=True)]
    rows = itertools.chain.from_iterable(waiting.parts([*everybody, "user:none", "key:ci"]))
    found = waiting.found(list(rows))
    seen = 0
    for me in (*everybody, "user:none", "key:ci", "user:"):
        listed = inbox.mine(me, inbox.asked(me=me, limit=50)) if me.startswith("user:") else []
        assert [(one.number, may) for one, may in found.of(me)] == [(one.task.pk, may) for one, may in listed], me
        seen += len(listed)
    assert seen > 6
    dues = {one.number: one.due_at for one in found.open}
    assert dues == {one.task.pk: one.due_at for one in inbox.asked(limit=50)}
    assert dues[asked.task.pk] is None
    assert not found.more


def test_who_waits_for_other_things_sees_another_page_and_nobody_costs_a_statement_more() -> None:
    ask_people()
    first, second, third = (signed_in(name, APPROVALS) for name in ("dan", "lea", "sam"))
    tags = [home(one, "?part=live")["ETag"] for one in (first, second, third)]
    assert len({*tags}) == 3
    with CaptureQueriesContext(connection) as seen:
        assert [home(one, "?part=live")["ETag"] for one in (first, second, third)] == tags
    assert len(seen) == 0


def test_more_approvals_than_are_looked_at_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_people()
    monkeypatch.setattr(waiting, "MOST", 1)
    text = home(signed_in("dan", APPROVALS)).content.decode()
    assert "More approvals are open than are looked at here" in text
    assert "The oldest 1 were looked at" in text


def test_what_cannot_be_read_is_unknown_and_not_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ada = staff(APPROVALS, CLOCKS)
    assert "Nothing waits for you" in home(ada).content.decode()
    monkeypatch.setattr(snapshots.waits, "look", lambda: snapshots.Look(None, None, False))
    text = home(ada).content.decode()
    assert "Nothing waits for you" not in text
    assert "Unknown: what waits for you could not be read" in text


def frame_of(values: dict[Any, tuple[bool, float]]) -> None:
    """Write a frame that ends now."""
    store.learn_series([(one, rate) for one, (rate, _) in values.items()])
    places = {one.series: one.id for one in store.read_series()}
    array: list[float | None] = [None] * max(places.values())
    for one, (_, value) in values.items():
        array[places[one] - 1] = value
    end = datetime.fromtimestamp(datetime.now(UTC).timestamp() // TICK * TICK - TICK, UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_frame (tier, at, mean) VALUES (%s, %s, %s::real[])"
            " ON CONFLICT (tier, at) DO UPDATE SET mean = excluded.mean",
            [TIERS[0].seconds, end, array],
        )


def accepted(client: Client) -> str:
    text = home(client).content.decode().partition("Runs accepted")[2]
    return re.sub(r"<[^>]+>", "", text.partition('<span class="against">')[0]).strip()


def test_a_site_without_runs_accepts_none_and_one_that_is_idle_none_now() -> None:
    frame = series("erip_runs_accepted_total", workflow="some")
    seer = staff("monitoring.view_frame")
    assert accepted(seer) == "unknown"
    gathering = Gathering()
    now = timezone.now()
    frame_of(gathering.work(now))
    cold()
    assert accepted(seer) == "0"
    # Given: there were runs, and a leader has begun anew since.
    store.learn_series([(frame, True)])
    counted = Gathering().work(now)
    assert counted[frame] == (True, 0.0)
    frame_of(counted)
    cold()
    assert accepted(seer) == "0"
