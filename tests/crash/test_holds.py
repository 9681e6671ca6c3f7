"""Who pauses a workflow, or lets it go on, is killed between the statement and its outcome: no run is half-paused, and
none is lost."""

import contextlib
import http.client
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from erip.foundation.db.direct import connect
from tests import workers
from tests.crash.test_web_process import call
from tests.definitions import publish
from tests.support.api import Api, key
from tests.support.web import Web, web
from tests.workers import leader, until
from workflows import engine
from workflows.models import Hold, RunPause, StepRun, WorkflowRun
from workflows.store import leaders

pytestmark = pytest.mark.django_db(transaction=True)

#: a portion and a half
RUNS = 1_500
HELD = """
name: held
steps:
  ready: {uses: sample.echo, with: {value: 1}}
  nap: {wait: {for: 1h}}
  ask: {wait: {any: [{signal: a}, {for: 2h}]}}
"""
#: nothing is given up while another process holds the lock, however slow this machine is
PATIENT = {"ERIP_DB_LOCK_TIMEOUT": "120", "ERIP_DB_STATEMENT_TIMEOUT": "150"}
Rows = dict[tuple[Any, str], tuple[Any, ...]]


@contextlib.contextmanager
def blocked(statement: str, arguments: list[Any]) -> Iterator[None]:
    """Hold what a statement of another process needs, so that it stops in the middle."""
    raw = connect()
    raw.autocommit = False
    try:
        with raw.cursor() as cursor:
            cursor.execute(statement, arguments)
        yield
    finally:
        raw.close()


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND wait_event <> 'extend'"
        )
        return bool(cursor.fetchone()[0])


def rows() -> Rows:
    found = StepRun.objects.values_list("run_id", "step", "state", "due_at", "attempt", "output")
    return {(run, step): tuple(rest) for run, step, *rest in found}


def paused_as_a_whole(before: Rows) -> int:
    """How many runs are paused; each of them with all of its steps, and the others as they were."""
    paused = set(WorkflowRun.objects.filter(state="PAUSED").values_list("pk", flat=True))
    assert paused == set(RunPause.objects.exclude(hold=None).values_list("run_id", flat=True))
    for (run, step), now in rows().items():
        was = before[run, step]
        assert now == (("PAUSED", *was[1:]) if run in paused else was), (run, step)
    return len(paused)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    until(lambda: leaders.living_below(99, lease=0) == [], what="its sessions have ended")


def test_a_leader_that_is_killed_in_a_portion_leaves_no_run_half_paused_and_loses_none(tmp_path: Path) -> None:
    publish(HELD)
    started = engine.start_runs("held", [engine.StartRequest({}, lane="critical")] * RUNS, principal="t")
    before = rows()
    last = sorted(run.id for run in started)[-1]
    in_its_last_portion = ("SELECT FROM workflows_steprun WHERE run_id = %s FOR UPDATE", [last])

    engine.pause_all("workflow", "held", principal="ann", clock="go")
    with leader(tmp_path / "log") as process, blocked(*in_its_last_portion):
        until(waits_for_a_lock, seconds=90, what="the leader is in its second portion")
        assert paused_as_a_whole(before) == 1_000
        kill(process)
    until(lambda: not waits_for_a_lock(), what="the portion is over")
    assert paused_as_a_whole(before) == 1_000, "the portion that was not recorded has left something"
    with leader(tmp_path / "log") as process:
        until(lambda: WorkflowRun.objects.filter(state="PAUSED").count() == RUNS, seconds=90, what="all are parked")
        assert paused_as_a_whole(before) == RUNS
        with blocked(*in_its_last_portion):
            engine.resume_all("workflow", "held", principal="ann")
            until(waits_for_a_lock, seconds=90, what="the leader is in its second portion")
            assert paused_as_a_whole(before) == RUNS - 1_000
            kill(process)
    until(lambda: not waits_for_a_lock(), what="the portion is over")
    assert paused_as_a_whole(before) == RUNS - 1_000
    with leader(tmp_path / "log"):
        until(lambda: not WorkflowRun.objects.filter(state="PAUSED").exists(), seconds=90, what="all go on")
    assert rows() == before, "as if there had been no pause"


def lost_in_the_middle(site: Web, *request: Any, **headers: str) -> bool:
    """Send a request, and kill the web process once its statement waits. Returns whether the answer was lost."""
    lost: list[BaseException] = []

    def send() -> None:
        try:
            call(site.url, *request, **headers)
        except (OSError, http.client.HTTPException) as error:
            lost.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    until(waits_for_a_lock, seconds=60, what="the request is in its statement")
    workers.kill(site.process)
    thread.join(timeout=60)
    return bool(lost)


@pytest.mark.parametrize("door", ["pause", "resume"])
def test_a_web_process_that_is_killed_has_done_it_or_has_not_and_it_may_be_asked_again(
    door: str, tmp_path: Path
) -> None:
    token = key()
    if door == "resume":
        engine.pause_all("lane", "bulk", principal="ann")
    of_holds = ("LOCK TABLE workflows_hold IN SHARE ROW EXCLUSIVE MODE", [])
    with web(tmp_path / "log", **PATIENT) as site, blocked(*of_holds):
        assert lost_in_the_middle(site, token, "POST", f"/lanes/bulk/{door}", None, Idempotency_Key="k")
    until(lambda: not waits_for_a_lock(), what="the statement is over")
    again = Api(token).post(f"/lanes/bulk/{door}", Idempotency_Key="k")
    # Nobody has heard whether the one before it counted: either answer is true of what is in force.
    assert again.status_code in (200, 409), again.content
    [hold] = Hold.objects.all()
    assert (hold.kind, hold.name, hold.resumed_at is None) == ("lane", "bulk", door == "pause")
