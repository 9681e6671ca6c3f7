"""Whoever judges alerts and sends messages may be killed or frozen at any step: nobody misses a page, and what comes
twice bears one id."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from monitoring.models import Alert, Page
from tests.support.receiver import receiving
from tests.workers import environment

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3Rz"


#: "all" freezes at each step, too, and takes a minute
STEPS = os.environ.get("ERIP_TEST_KILLS", "commits")


def hit(*how: str) -> tuple[int, int, dict[str, list[str]]]:
    """How many evaluators were hit, how many alerts there were, and the ids of messages by what they say."""
    with receiving() as receiver:
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.killed_evaluator", *how],
            cwd=ROOT,
            env=environment()
            | {
                "ERIP_ALERT_WEBHOOKS": receiver.url,
                "ERIP_ALERT_WEBHOOK_SECRET": SECRET,
                "ERIP_ALERT_ALLOW_PRIVATE": "true",
            },
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-2_000:]
    count, alerts = map(int, done.stdout.split())
    said: dict[str, list[str]] = defaultdict(list)
    for post in receiver.posts:
        said[json.loads(post.body)["state"]].append(post.headers["webhook-id"])
    assert set(said) == {"firing", "resolved"}
    assert Alert.objects.filter(stage="resolved", announced="resolved").count() == Alert.objects.count() == alerts
    assert Page.objects.exclude(sent_at=None).count() == Page.objects.count() == 2 * alerts
    for ids in said.values():
        assert len(set(ids)) == alerts, "each is told of its beginning and its end, whoever was hit"
    return count, alerts, said


def test_killed_before_and_after_each_commit_no_page_is_lost_and_doubles_bear_one_id() -> None:
    killed, alerts, said = hit("kills")

    # The tick, the claim, the message and the note that it was sent, before and after each.
    assert killed >= 2 * 8
    for ids in said.values():
        doubles = len(ids) - alerts
        assert doubles == 2, "after it was sent, and before that was noted"


def test_frozen_and_thawed_no_page_is_lost_or_waits_and_only_what_was_on_its_way_comes_twice() -> None:
    """Frozen in the midst of its transaction, whose locks the others then wait for; with a claim that ends meanwhile;
    and after it sent a message, before it could note that."""
    frozen, alerts, said = hit("freezes") if STEPS == "all" else hit("freezes", "1", "4", "6")

    assert frozen >= (2 * 8 if STEPS == "all" else 3)
    # Before it sends, while it sends, and before it notes that: nobody can know more than the id says.
    assert len(said["firing"]) - alerts == (3 if STEPS == "all" else 1)
    assert len(said["resolved"]) - alerts == (3 if STEPS == "all" else 0)
