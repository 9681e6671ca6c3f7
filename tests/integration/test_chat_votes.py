"""Votes from Slack and Teams: a request counts if it is signed, fresh and new, for somebody who is known here."""

import base64
import hashlib
import hmac
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import Permission, User
from django.core.checks import run_checks
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from people.models import ChatRequest, Delegation, Vote
from tests.support.four_eyes import Asked, ask_people
from workflows.models import ApprovalTask

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
TEAMS_SECRET = base64.b64encode(b"a key of Teams, 32 bytes of them").decode()


@pytest.fixture
def asked(settings: Any) -> Asked:
    settings.ERIP_SLACK_SIGNING_SECRET = SECRET
    settings.ERIP_SLACK_PEOPLE = ["T1/U1=dan", "T1/U2=ina", "T1/U3=sam", "T1/U4=nobody", "T1/U5=eve"]
    settings.ERIP_TEAMS_SECRET = TEAMS_SECRET
    settings.ERIP_TEAMS_PEOPLE = ["1111-22=dan"]
    found = ask_people()
    Delegation.objects.all().delete()
    permissions = Permission.objects.filter(codename__in=["add_vote", "view_approvaltask"])
    for user in User.objects.all():
        user.user_permissions.set(permissions)
    return found


def signature(body: bytes, stamp: str, secret: str = SECRET) -> str:
    return "v0=" + hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()


def send(body: bytes, *, at: float | None = None, to: str = "slack", **headers: str) -> Any:
    stamp = str(int(time.time() if at is None else at))
    given = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature(body, stamp), **headers}
    media = "application/x-www-form-urlencoded"
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    return client.post(f"/chat/{to}", body, content_type=media, headers={k: v for k, v in given.items() if v})


_said = 0


def command(text: str, who: str = "U1", team: str = "T1") -> bytes:
    """A slash command. Slack gives each a trigger_id of its own."""
    global _said
    _said += 1
    return urlencode({"command": "/erip", "text": text, "team_id": team, "user_id": who, "trigger_id": _said}).encode()


def says(text: str, who: str = "U1", team: str = "T1") -> str:
    answer = send(command(text, who, team))
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert told["response_type"] == "ephemeral"
    return str(told["text"])


def code_of(asked: Asked, who: str = "U1") -> str:
    return says(f"show {asked.task.pk}", who).rpartition("Code: ")[2]


def test_somebody_reads_and_votes_in_slack(asked: Asked) -> None:
    assert f"{asked.task.pk}: Notify all" in says("inbox")
    shown = says(f"show {asked.task.pk}")
    assert '"who": "all"' in shown
    assert shown.endswith(f"Code: {asked.task.content_hash[:16]}")
    code = code_of(asked)
    for text in ("", "vote", "approve", f"approve {asked.task.pk}", f"approve x {code}", "show", "show -1"):
        assert "approve NUMBER CODE" in says(text), text
    for text in (f"approve {asked.task.pk} {code[:15]}", f"approve {asked.task.pk} {'0' * 64}"):
        assert "not the code" in says(text)
    assert "comment" in says(f"refuse {asked.task.pk} {code}")
    assert "no approval" in says("show 999999999")
    assert asked.untouched
    assert "It is approved" in says(f"approve {asked.task.pk} {code} Seen with counsel.")
    vote = Vote.objects.get(voter="user:dan")
    assert (vote.via, vote.comment, vote.content_hash) == ("slack", "Seen with counsel.", asked.task.content_hash)
    assert "ended" in says(f"show {asked.task.pk}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM audit_entry WHERE action = 'chat:slack' ORDER BY id")
        entries = [orjson.loads(body) for (body,) in cursor.fetchall()]
    voted = [one for one in entries if one.get("said") == "approve" and "object" in one][-1]
    assert (voted["principal"], voted["object"]) == ("user:dan", f"approvals/{asked.task.pk}")


def test_a_button_votes_as_a_command_does(asked: Asked) -> None:
    value = f"approve {asked.task.pk} {asked.task.content_hash[:16]}"
    payload = {"type": "block_actions", "team": {"id": "T1"}, "user": {"id": "U1"}, "actions": [{"value": value}]}
    pressed = urlencode({"payload": orjson.dumps(payload).decode()}).encode()
    assert "It is approved" in send(pressed).json()["text"]


def test_a_chat_does_not_go_round_four_eyes(asked: Asked) -> None:
    code = asked.task.content_hash[:16]
    assert "does not wait for your vote" in says(f"show {asked.task.pk}", "U2")
    assert "Whoever started" in says(f"approve {asked.task.pk} {code}", "U2")
    assert "none of the groups" in says(f"approve {asked.task.pk} {code}", "U3")
    for who, team in (("U4", "T1"), ("U9", "T1"), ("U1", "T2"), ("", "T1"), ("U1", "")):
        assert "not known here" in says(f"approve {asked.task.pk} {code}", who, team)
    User.objects.filter(username="dan").update(is_active=False)
    assert "not known here" in says(f"approve {asked.task.pk} {code}")
    User.objects.filter(username="dan").update(is_active=True)
    User.objects.get(username="dan").user_permissions.clear()
    assert "people.add_vote" in says(f"approve {asked.task.pk} {code}")
    assert "view_approvaltask" in says("inbox")
    assert asked.untouched


def test_a_request_that_is_not_signed_fresh_and_new_is_refused_and_changes_nothing(asked: Asked) -> None:
    text = f"approve {asked.task.pk} {asked.task.content_hash[:16]}"
    body, now = command(text), time.time()
    stamp = str(int(now))
    wrong = [
        send(body, **{"X-Slack-Signature": ""}),
        send(body, **{"X-Slack-Request-Timestamp": ""}),
        send(body, **{"X-Slack-Signature": signature(body, stamp, "another secret of 32 characters.")}),
        send(body + b"&x=1", **{"X-Slack-Signature": signature(body, stamp), "X-Slack-Request-Timestamp": stamp}),
        send(body, **{"X-Slack-Signature": signature(body, stamp)[:-1], "X-Slack-Request-Timestamp": stamp}),
        send(body, **{"X-Slack-Signature": signature(body, stamp).upper(), "X-Slack-Request-Timestamp": stamp}),
        send(body, **{"X-Slack-Signature": "é"}),
        send(body, at=now - 310),
        send(body, at=now + 310),
        *(send(body, **{"X-Slack-Request-Timestamp": odd, "X-Slack-Signature": signature(body, odd)})
          for odd in ("-1", "1e9", "٣", "9" * 40, "0x10")),
        send(body + b"&pad=" + b"a" * 65_536),
        *(send(odd) for odd in (b"", b"\xff\xfe", b"text", b"payload={", b"payload=[]", b"payload=1", b"a=1" * 200,
                                b"payload=" + b"[" * 30_000, b"&".join([b"a=1"] * 500))),
        send(orjson.dumps({"type": "message", "text": text}), to="teams", Authorization="HMAC x"),
        send(orjson.dumps({"type": "message", "text": text}), to="teams"),
    ]  # fmt: skip
    assert {one.status_code for one in wrong} == {401}
    assert {one.content for one in wrong} == {b""}
    assert ChatRequest.objects.count() == 0
    assert asked.untouched


def test_a_request_counts_once_also_if_it_comes_several_times_at_once(asked: Asked) -> None:
    body = command(f"refuse {asked.task.pk} {asked.task.content_hash[:16]} no", "U5")
    stamp, statuses = time.time(), []

    def go() -> None:
        try:
            statuses.append(send(body, at=stamp).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=go) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 401, 401, 401, 401]
    assert send(body, at=stamp).status_code == 401
    assert Vote.objects.filter(voter="user:eve").count() == 1
    with connection.cursor() as cursor:
        cursor.execute("UPDATE people_chatrequest SET at = at - interval '16 minutes'")
    says("inbox")
    assert ChatRequest.objects.count() == 1, "what could not come again is forgotten"


def teams(text: str, *, at: datetime | None = None, who: str = "1111-22", **changed: Any) -> Any:
    moment = (at or datetime.now(UTC)).isoformat().replace("+00:00", "Z")
    message = {
        "type": "message",
        "id": text,
        "timestamp": moment,
        "text": text,
        "from": {"aadObjectId": who},
        **changed,
    }
    body = orjson.dumps({**message, **changed})
    mac = hmac.new(base64.b64decode(TEAMS_SECRET), body, hashlib.sha256).digest()
    return send(body, to="teams", Authorization=f"HMAC {base64.b64encode(mac).decode()}")


def test_somebody_votes_in_teams(asked: Asked) -> None:
    text = f"<at>ERIP</at> approve {asked.task.pk} {asked.task.content_hash[:16]}&nbsp;"
    assert teams(text, at=datetime.now(UTC) - timedelta(minutes=6)).status_code == 401
    assert teams(text, timestamp="2026-11-26T10:00:00").status_code == 401
    assert teams(text, **{"from": {}}).status_code == 401
    assert "not known here" in teams(text, who="other").json()["text"]
    assert asked.untouched
    assert "It is approved" in teams(text).json()["text"]
    assert Vote.objects.get(voter="user:dan").via == "teams"


def test_there_is_no_such_address_unless_a_secret_is_set(asked: Asked, settings: Any) -> None:
    settings.ERIP_SLACK_SIGNING_SECRET = settings.ERIP_TEAMS_SECRET = ""
    with CaptureQueriesContext(connection) as statements:
        assert send(command("inbox")).status_code == 404
        assert teams("inbox").status_code == 404
    assert len(statements) == 0
    settings.ERIP_SLACK_SIGNING_SECRET = SECRET
    assert Client().get("/chat/slack").status_code == 405
    settings.ERIP_SLACK_PEOPLE = []
    assert "not known here" in says("inbox")
    assert ApprovalTask.objects.filter(outcome="").count() == 2


def test_what_is_wrong_with_the_settings_is_said_at_start_up(settings: Any) -> None:
    assert [one for one in run_checks() if one.id and one.id.startswith("people.")] == []
    settings.ERIP_SLACK_SIGNING_SECRET, settings.ERIP_TEAMS_SECRET = "short", "no base64, but long enough"
    settings.ERIP_SLACK_PEOPLE, settings.ERIP_TEAMS_PEOPLE = ["T1/U1"], ["a=x", "a=y"]
    found = sorted(str(one.id) for one in run_checks() if one.id and one.id.startswith("people."))
    assert found == ["people.E001", "people.E002", "people.E003", "people.E003"]
    assert django_settings.ERIP_SLACK_SIGNING_SECRET == "short"
