"""What people and chats send without a session arrives through the front door of a real web process."""

import hashlib
import hmac
import re
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User

from people import links
from people.models import Delegation, Vote
from tests.support.four_eyes import ask_people
from tests.support.web import web
from workflows.models import ApprovalTask

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


def send(url: str, body: bytes, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def slack(url: str, body: bytes, media: str = "application/x-www-form-urlencoded") -> tuple[int, str]:
    stamp = str(int(time.time()))
    mac = hmac.new(SECRET.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    signed = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={mac}", "Content-Type": media}
    return send(f"{url}/chat/slack", body, **signed)


def test_votes_by_a_link_and_from_a_chat_arrive(tmp_path: Path, settings) -> None:
    settings.ERIP_APPROVAL_LINK_HOURS = 24.0
    asked = ask_people()
    Delegation.objects.all().delete()
    permissions = Permission.objects.filter(codename__in=["add_vote", "view_approvaltask"])
    for user in User.objects.all():
        user.user_permissions.set(permissions)
    User.objects.filter(username="dan").update(email="dan@example.org")
    token = links.token_for(asked.by_key, "user:dan")[0]
    of_chat = {"ERIP_SLACK_SIGNING_SECRET": SECRET, "ERIP_SLACK_PEOPLE": "T1/U1=dan"}
    with web(tmp_path / "web.log", ERIP_APPROVAL_LINK_HOURS="24", **of_chat) as served:
        by_link = f"{served.url}/console/approvals/by-link"
        with urllib.request.urlopen(f"{by_link}?{urlencode({'t': token})}", timeout=30) as page:
            # With no-referrer, browsers would send `Origin: null` with the form.
            assert page.headers["Referrer-Policy"] == "same-origin"
            cookie = page.headers["Set-Cookie"].partition(";")[0]
            hidden = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.read().decode())[0]
        vote = {"t": token, "choice": "approve", "confirm": "yes", "form": "{}", "csrfmiddlewaretoken": hidden}
        form = urlencode(vote).encode()
        assert send(by_link, form, Cookie=cookie, Origin="null")[0] == 403
        said = send(by_link, form, Cookie=cookie, Origin=served.url)
        assert said[0] == 200, said
        assert send(by_link, b"x" * 70_000)[0] == 413

        text = f"approve {asked.task.pk} {asked.task.content_hash[:16]}"
        command = {"command": "/erip", "text": text, "team_id": "T1", "user_id": "U1", "trigger_id": "1"}
        status, told = slack(served.url, urlencode(command).encode())
        assert (status, "It is approved" in told) == (200, True), told
        # Read as a form by nobody before its signature is looked at.
        part = b'--x\r\nContent-Disposition: form-data; name="reason"\r\n\r\ny\r\n--x--\r\n'
        assert slack(served.url, part, "multipart/form-data; boundary=x")[0] == 401
        assert send(f"{served.url}/chat/slack", b"text=inbox")[0] == 401
    assert sorted(Vote.objects.exclude(voter="user:cara").values_list("voter", "via")) == [
        ("user:dan", "link"),
        ("user:dan", "slack"),
    ]
    assert ApprovalTask.objects.get(pk=asked.task.pk).outcome == "approved"
    assert "Traceback" not in (tmp_path / "web.log").read_text()
