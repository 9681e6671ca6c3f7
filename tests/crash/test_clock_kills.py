"""The leader is killed while legal clocks come due: no clock is passed over, and none is announced as two messages.

`ERIP_CLOCKS_MEASURED=10000 make test PYTEST_ARGS=tests/crash/test_clock_kills.py` keeps that many open and kills
nobody; it says how late the receiver heard of the 200 that came due within 40 s.
"""

import copy
import json
import os
import statistics
import time
from collections import defaultdict
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from tests.support.clocks import saved, unsaved
from tests.support.receiver import receiving
from tests.workers import kill, leader, until
from workflows.clocks.models import LegalClock
from workflows.clocks.reckoning import BREACH
from workflows.models import Leader

pytestmark = pytest.mark.django_db(transaction=True)
MEASURED = int(os.environ.get("ERIP_CLOCKS_MEASURED", "0"))
SECRET = "whsec_dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3Rz"


class Timed(list[Any]):
    """Posts, each with when it came."""

    def append(self, post: Any) -> None:
        super().append((time.time(), post))


def coming_due(count: int, over: float) -> list[LegalClock]:
    """Clocks that are due one after the other from now on, and were warned of."""
    rows = []
    for place in range(count):
        row = unsaved(timezone.now() - timedelta(hours=72) + timedelta(seconds=3 + over * place / count))
        row.next_rung, row.next_rung_at = BREACH, row.due_at
        rows.append(row)
    return saved(rows)


def far_ahead(count: int) -> None:
    one = unsaved(timezone.now())
    rows = []
    for _ in range(count):
        rows.append(copy.copy(one))
        case = copy.copy(one.case)
        case.pk, case.run_id = uuid4(), uuid4()
        rows[-1].case = case
    saved(rows)


def test_a_leader_is_killed_while_clocks_come_due(tmp_path: Path) -> None:
    count, over = (200, 40.0) if MEASURED else (24, 6.0)
    far_ahead(MEASURED)
    with receiving() as receiver, ExitStack() as processes:
        receiver.posts = Timed()
        settings = {
            "ERIP_ALERT_WEBHOOKS": receiver.url, "ERIP_ALERT_WEBHOOK_SECRET": SECRET,
            "ERIP_ALERT_ALLOW_PRIVATE": "true", "ERIP_LEASE_SECONDS": "3",
        }  # fmt: skip
        log = tmp_path / "leaders.log"
        first_leader = processes.enter_context(leader(log, **settings))
        until(lambda: Leader.objects.exists(), seconds=90, what=f"a leader leads; log: {log}")
        if not MEASURED:
            processes.enter_context(leader(log, **settings))
        rows = coming_due(count, over)
        ids = {row.pk for row in rows}
        heard: dict[int, set[str]] = defaultdict(set)
        first: dict[int, float] = {}

        def all_heard() -> bool:
            for at, post in list(receiver.posts):
                for alert in json.loads(post.body)["alerts"]:
                    if alert["rule"] == "legal-clock-breach":
                        heard[alert["number"]].add(post.headers["webhook-id"])
                        first.setdefault(alert["number"], at)
            return len(ids & heard.keys()) == count

        if not MEASURED:
            until(lambda: all_heard() or heard, seconds=120, what="some were heard of")
            kill(first_leader)
        until(all_heard, seconds=180, what=f"all were heard of; log: {log}")
    assert {number: len(messages) for number, messages in heard.items()} == dict.fromkeys(ids, 1)
    assert not LegalClock.objects.filter(pk__in=ids, next_rung=BREACH).exists()
    if MEASURED:
        late = sorted(first[row.pk] - row.due_at.timestamp() for row in rows if row.due_at is not None)
        said = f"{MEASURED + count:,} open: median {statistics.median(late):.2f} s, latest {late[-1]:.2f} s"
        (Path(os.environ.get("ERIP_CLOCKS_FIGURE", tmp_path / "figure"))).write_text(said)
        assert late[-1] <= 5.0, said
