"""Votes by a link in a message: it shows and never votes by itself, is one person's, and is worth one vote."""

import re
import threading
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core import signing
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from erip.access.scopes import Scope
from people import delegating, links, notices, voting
from people.errors import LinkInvalid
from people.models import Delegation, Vote
from tests.support.api import Api, key
from tests.support.four_eyes import Asked, ask_people, ballot
from workflows import engine
from workflows.models import ApprovalTask, StepRun

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/console/approvals/by-link"


@pytest.fixture
def asked(settings: Any) -> Asked:
    settings.ERIP_APPROVAL_LINK_HOURS = 24.0
    found = ask_people()
    Delegation.objects.all().delete()
    for user in User.objects.all():
        user.email = f"{user.username}@example.org"
        user.save()
        may(user.username)
    return found


def may(name: str) -> None:
    User.objects.get(username=name).user_permissions.add(Permission.objects.get(codename="add_vote"))


def link(asked: Asked, who: str = "dan") -> str:
    made = links.token_for(asked.task, f"user:{who}")
    assert made is not None
    return made[0]


def shown(token: str, status: int = 200) -> str:
    answer = Client(raise_request_exception=False).get(PAGE, {"t": token})
    assert answer.status_code == status, answer.content[:500]
    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] == "same-origin"
    return answer.content.decode()


def post(token: str, **changed: str) -> Any:
    given = {"t": token, "choice": "approve", "comment": "", "form": "", "confirm": "yes", **changed}
    return Client(raise_request_exception=False).post(PAGE, given)


def votes() -> list[tuple[str, str]]:
    return list(Vote.objects.exclude(voter="user:cara").values_list("voter", "via"))


def test_the_link_in_a_message_votes_once_and_only_when_it_is_confirmed(asked: Asked, mailoutbox: Any) -> None:
    notices.look()
    (mail,) = [one for one in mailoutbox if one.to == ["dan@example.org"] and f"/approvals/{asked.task.pk}" in one.body]
    (token,) = re.findall(r"by-link\?t=(\S+)", mail.body)
    assert "signing in" in mail.body
    # What scanners of mail do, and people who only look.
    for _ in range(3):
        assert "Notify all" in shown(token)
        assert Client().head(PAGE, {"t": token}).status_code == 200
    assert Client().options(PAGE, {"t": token}).status_code == 405
    for changed in ({"confirm": ""}, {"choice": "maybe"}, {"choice": ""}, {"choice": "refuse"}, {"form": "{"}):
        again = post(token, **changed)
        assert again.status_code == 422, changed
        assert "was not taken" in again.content.decode()
    assert votes() == []
    done = post(token, comment="Seen with counsel.", form='{"reason": "due"}')
    assert (done.status_code, votes()) == (200, [("user:dan", "link")])
    assert "It is approved" in done.content.decode()
    assert ApprovalTask.objects.get(pk=asked.task.pk).outcome == "approved"
    assert "ended" in shown(token, 410)
    assert post(token).status_code == 410
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM audit_entry ORDER BY id DESC LIMIT 1")
        entry = orjson.loads(cursor.fetchone()[0])
    assert (entry["principal"], entry["object"]) == ("user:dan", f"approvals/{asked.task.pk}")
    assert (entry["action"], entry["by_link"]) == ("console:by-link", True)
    assert token not in orjson.dumps(entry).decode()


def test_who_was_only_notified_and_who_cannot_vote_get_no_link(asked: Asked, mailoutbox: Any, settings: Any) -> None:
    User.objects.get(username="eve").user_permissions.clear()
    notices.look()
    told = {one.to[0].partition("@")[0]: one.body for one in mailoutbox}
    assert "by-link" in told["lea"]
    assert "by-link" not in told["eve"], "she could not vote if she signed in"
    settings.ERIP_APPROVAL_LINK_HOURS = 0.0
    assert links.token_for(asked.task, "user:lea") is None
    assert links.token_for(asked.task, "user:nobody") is None


def test_a_link_is_worth_nothing_when_its_person_would_not_be_asked_any_more(asked: Asked, settings: Any) -> None:
    dan, token = User.objects.get(username="dan"), link(asked)
    ends = timezone.now() + timedelta(hours=1)
    assert "Notify all" in shown(token)
    given = delegating.delegate("user:dan", "sam", ends_at=ends, by="user:dan")
    assert "Somebody else votes" in shown(token, 410)
    assert post(token).status_code == 410
    delegating.revoke(given.pk, by="user:dan", of="user:dan")
    shown(token)

    def hours(number: float) -> None:
        settings.ERIP_APPROVAL_LINK_HOURS = number

    group = Group.objects.get(name="dpo")
    for undo, what in (
        (lambda: group.user_set.add(dan), lambda: group.user_set.remove(dan)),
        (lambda: change(is_active=True), lambda: change(is_active=False)),
        (lambda: change(is_staff=True), lambda: change(is_staff=False)),
        (lambda: change(email="dan@example.org"), lambda: change(email="other@example.org")),
        (lambda: may("dan"), lambda: dan.user_permissions.clear()),
        (lambda: hours(24.0), lambda: hours(0.0)),
    ):
        what()
        shown(token, 410)
        assert post(token).status_code == 410
        undo()
        shown(token)
    dan.set_password("another-long-password")
    dan.save()
    shown(token, 410)
    token = link(asked)
    dan.delete()
    User.objects.create_user("dan", is_staff=True, email="dan@example.org").groups.set([group])
    may("dan")
    shown(token, 410)
    assert votes() == []


def change(**changed: Any) -> None:
    User.objects.filter(username="dan").update(**changed)


def test_a_link_ends_with_its_time_with_the_approval_and_with_another_vote(asked: Asked) -> None:
    made = links.token_for(asked.task, "user:dan", due_at=timezone.now() + timedelta(minutes=5))
    assert made is not None
    assert timezone.now() < made[1] <= timezone.now() + timedelta(minutes=5)
    late = links.token_for(asked.task, "user:dan", due_at=timezone.now() - timedelta(seconds=1))
    assert late is not None
    assert "expired" in shown(late[0], 410)
    eve = link(asked, "eve")
    voting.vote(asked.task.pk, ballot(asked.task, "eve"))
    assert "ended" in shown(eve, 410)
    assert "ended" in shown(made[0], 410)


def test_a_link_does_not_go_round_four_eyes(asked: Asked) -> None:
    for who in ("ina", "amy", "sam"):
        shown(link(asked, who), 410)
        assert post(link(asked, who)).status_code == 410
    assert "used" in shown(link(asked, "cara"), 410)
    made = links.token_for(asked.by_key, "user:kim")
    assert made is not None
    shown(made[0], 410)
    assert asked.untouched


def test_two_at_once_with_one_link_are_one_vote(asked: Asked) -> None:
    token, statuses = link(asked, "eve"), []

    def go() -> None:
        try:
            statuses.append(post(token, choice="approve").status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 410, 422}
    assert votes() == [("user:eve", "link")]


def test_a_paused_run_takes_no_vote_by_a_link(asked: Asked) -> None:
    token = link(asked)
    engine.pause_run(str(asked.task.run_id), principal="t")
    assert post(token).status_code == 422
    engine.resume_run(str(asked.task.run_id), principal="t")
    assert post(token).status_code == 200


def hostile(asked: Asked) -> list[str]:
    """Texts that are no link of ours."""
    good = link(asked)
    body, stamp, mac = good.rsplit(":", 2)
    told = signing.loads(good, salt="people.links")
    other = signing.dumps(told, salt="other")
    wrong = [
        signing.dumps(what, salt="people.links")
        for what in (None, 1, {}, [], told[:-1], [*told, 1], [2, *told[1:]], "x" * 100)
    ]
    changed = [good.swapcase(), good[:-1], good + "A", good[1:], f"{body}:{stamp}:{mac[::-1]}", f"{body}::{mac}"]
    odd = ["", " ", ":", "::", "." * 600, "a" * 601, "é", "\0", "‮", f".{good}", good * 2, "1:1:1", "../../etc", "%00"]
    return [*odd, *changed, other, *wrong]


def test_what_is_no_link_is_refused_alike_and_costs_no_statement(asked: Asked) -> None:
    pages = set()
    for text in hostile(asked):
        with CaptureQueriesContext(
            connection,
        ) as asked_for:
            answers = [Client(raise_request_exception=False).get(PAGE, {"t": text}), post(text)]
        assert [one.status_code for one in answers] == [410, 410], text
        assert len(asked_for) == 0, (text, asked_for.captured_queries)
        pages |= {re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", one.content.decode()) for one in answers}
        with pytest.raises(LinkInvalid):
            links.held(text)
    assert len({re.sub(r"\s*<input[^>]+back[^>]+>", "", one) for one in pages}) == 1, "nothing is told apart"
    for body in (b"\xff\xfe", b"t=%ff%fe", b"t", b"t=" + b"a" * 100_000):
        client = Client(raise_request_exception=False)
        assert client.post(PAGE, body, content_type="application/x-www-form-urlencoded").status_code in (400, 410, 413)
    assert votes() == []


def test_a_link_is_no_key(asked: Asked) -> None:
    """It opens one page, and neither the API nor the rest of the console."""
    token = link(asked)
    client = Client()
    client.get(PAGE, {"t": token})
    post(token, comment="x", choice="maybe")
    assert client.get(f"/console/approvals/{asked.task.pk}").status_code == 302
    assert Api(token).get(f"/approvals/{asked.task.pk}").status_code == 401
    assert Api(key(Scope.VIEWER)).get(f"/approvals/{asked.task.pk}").status_code == 200
    assert StepRun.objects.get(run=asked.task.run_id).state == "WAITING"
