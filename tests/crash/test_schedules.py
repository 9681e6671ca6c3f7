"""Schedules with two real leaders: one races the other, is killed, is frozen and thawed. Nothing starts twice, and
nothing is lost."""

import signal
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from django.db import connection

from schedules import stored
from schedules.models import Schedule, ScheduledStart
from tests import workers
from tests.definitions import publish
from tests.workers import until
from workflows.models import WorkflowRun
from workflows.store import LEADER_LOCK

pytestmark = pytest.mark.django_db(transaction=True)

SCHEDULES = 3
EVERY = timedelta(minutes=1)
#: moments of each schedule that have come when a leader first looks
MISSED = 50

WAITS = "name: waits\nsteps: {hold: {wait: {for: 1d}}}\n"


def started() -> int:
    return ScheduledStart.objects.filter(outcome="STARTED").count()


def leading() -> tuple[int, int]:
    """The process of the leader, and that of its session in PostgreSQL: the one that holds the lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.client_port, a.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
            " WHERE l.locktype = 'advisory' AND l.granted AND l.objid = %s AND a.datname = current_database()",
            [LEADER_LOCK],
        )
        port, session = cursor.fetchone()
    pids = [one.pid for one in psutil.net_connections("tcp") if one.laddr and one.laddr.port == port and one.pid]
    return next(pid for pid in pids if psutil.Process(pid).name().startswith("python")), session


def come(prefix: str) -> None:
    """Some schedules, of each of which `MISSED` moments have come that nobody decided on."""
    begin = stored.clock().replace(second=0, microsecond=0) - EVERY * MISSED
    for number in range(SCHEDULES):
        says = {"workflow": "waits", "every": "1m", "from": begin.isoformat(), "catch_up": "all", "overlap": "allow"}
        stored.put(f"{prefix}-{number}", document=says, author="test")
    Schedule.objects.filter(name__startswith=prefix).update(next_at=begin, next_start_at=begin)


def test_leaders_that_race_are_killed_and_are_frozen_start_each_moment_once(tmp_path: Path) -> None:
    publish(WAITS)
    each = SCHEDULES * MISSED
    come("a")
    with workers.leader(tmp_path / "one") as one, workers.leader(tmp_path / "two") as two:
        by_pid = {one.pid: one, two.pid: two}
        until(lambda: started() > 3, seconds=90, what="a leader has begun")
        killed = by_pid.pop(leading()[0])
        killed.send_signal(signal.SIGKILL)
        killed.wait(timeout=30)
        come("b")
        (frozen,) = by_pid.values()
        until(lambda: started() > each + 3, seconds=90, what="the other one goes on, and has begun with these")
        with workers.leader(tmp_path / "three"):
            pid, session = leading()
            assert pid == frozen.pid
            frozen.send_signal(signal.SIGSTOP)
            come("c")
            # PostgreSQL gives up a session whose client is gone; here at once.
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", [session])
            until(lambda: started() >= 3 * each, seconds=90, what="the third one does the rest")
            frozen.send_signal(signal.SIGCONT)
            come("d")
            until(lambda: started() >= 4 * each, seconds=90, what="they go on, and both had their turns")

    rows = list(ScheduledStart.objects.order_by("schedule", "at").values_list("schedule", "at", "outcome", "run_id"))
    assert {outcome for _, _, outcome, _ in rows} <= {"STARTED", "STARTING"}
    runs = [run for *_, run in rows if run is not None]
    assert len(set(runs)) == len(runs)
    assert set(runs) <= set(WorkflowRun.objects.values_list("id", flat=True))
    assert WorkflowRun.objects.count() - len(runs) <= sum(outcome == "STARTING" for _, _, outcome, _ in rows)
    for schedule in Schedule.objects.all():
        moments = [at for which, at, _, _ in rows if which == schedule.pk]
        assert moments == [moments[0] + EVERY * number for number in range(len(moments))], "none is missing, none twice"
        assert len(moments) >= MISSED
