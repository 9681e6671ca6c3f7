"""One row, one schedule or one step that cannot go on holds up nothing else, and loses nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import django.db
import pytest
from django.db import connection

from erip.foundation.db.connections import drop_connection
from erip.foundation.hooks import leader_begins, leader_duty
from schedules import firing, stored
from schedules.models import Schedule, ScheduledStart
from tests.definitions import one_step, publish
from tests.integration.conftest import LANES
from tests.integration.test_bad_rows import spoil
from workflows import engine, registry, store
from workflows.core.graph import Retry, Work
from workflows.leader.loop import Leader
from workflows.models import StepBeat, StepRun, WorkflowRun, WorkflowVersion
from workflows.worker import beats, executor

pytestmark = pytest.mark.django_db(transaction=True)


def put_due(name: str, **says: Any) -> None:
    at = stored.clock() - timedelta(seconds=1)
    document = {"workflow": "one", "every": "1h", "from": at.isoformat(), "catch_up": "latest", "overlap": "allow"}
    stored.put(name, document={**document, **says}, author="test")
    Schedule.objects.filter(name=name).update(next_at=at, next_start_at=at)


def outcomes() -> dict[str, str]:
    return dict(ScheduledStart.objects.values_list("schedule__name", "outcome"))


def test_a_duty_that_the_database_refuses_costs_neither_the_lead_nor_the_other_duties() -> None:
    done: list[str] = []

    def refused() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 'a'::int")

    leader = Leader()
    try:
        with leader_duty.only(refused, lambda: done.append("next")):
            leader._round()
            since = leader._leading_since
            leader._round()
        assert since is not None
        assert leader._leading_since == since
        assert done == ["next", "next"]
    finally:
        leader._stand_down()


def test_whoever_becomes_the_leader_begins_before_any_duty() -> None:
    done: list[str] = []

    def broken() -> None:
        raise ValueError

    leader = Leader()
    try:
        with leader_begins.only(broken, lambda: done.append("begins")), leader_duty.only(lambda: done.append("duty")):
            leader._round()
            leader._round()
            leader._stand_down()
            leader._round()
    finally:
        leader._stand_down()
    assert done == ["begins", "duty", "duty", "begins", "duty"]


def test_a_schedule_that_cannot_be_decided_on_stops_no_other() -> None:
    publish(one_step("sample.echo"))
    put_due("bad")
    put_due("good")
    Schedule.objects.filter(name="bad").update(latest=99)
    firing.work_off.do()
    assert outcomes() == {"good": "STARTED"}


def test_a_workflow_that_this_release_cannot_read_is_started_later_and_stops_no_other() -> None:
    publish("name: held\nsteps:\n  a: {uses: sample.echo, with: {value: 1}}\n")
    publish(one_step("sample.echo"))
    put_due("first", workflow="held")
    put_due("second")
    version = WorkflowVersion.objects.get(definition__name="held")
    spoil("workflows_workflowversion", "source", "steps: [", f"id = {version.pk}")
    firing.work_off.do()
    assert outcomes() == {"first": "STARTING", "second": "STARTED"}
    spoil("workflows_workflowversion", "source", version.source, f"id = {version.pk}")
    firing.work_off.do()
    assert outcomes() == {"first": "STARTED", "second": "STARTED"}


def test_a_backfill_into_a_full_lane_does_not_hold_up_other_lanes(
    lane_settings: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    lane_settings(
        ERIP_ADMISSION_MIN_RATE=0.4, ERIP_LANE_BOUNDS={"critical": 2.0, "high": 10.0, "standard": 30.0, "bulk": 60.0}
    )
    monkeypatch.setattr(firing, "LIMIT", 3)
    publish(one_step("sample.echo"))
    engine.start_runs("one", [engine.StartRequest({}, lane="bulk")] * 24, principal="t")
    put_due("long", lane="bulk")
    schedule = Schedule.objects.get()
    begin = stored.clock() - timedelta(days=3)
    for hours in range(7):
        ScheduledStart.objects.create(
            schedule=schedule,
            at=begin + timedelta(hours=hours),
            version=1,
            cause="backfill",
            outcome="STARTING",
        )
    put_due("urgent", lane="critical")
    firing.work_off.do()
    assert set(ScheduledStart.objects.filter(schedule=schedule).values_list("outcome", flat=True)) == {"STARTING"}
    assert outcomes()["urgent"] == "STARTED"


def test_starts_that_go_on_waiting_do_not_hold_up_one_whose_run_before_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(firing, "LIMIT", 3)
    publish(one_step("sample.echo"))
    for number in range(5):
        put_due(f"s{number}", overlap="wait")
    for _ in range(4):
        firing.work_off.do()
    now = stored.clock()
    for number in range(5):
        ScheduledStart.objects.create(
            schedule=Schedule.objects.get(name=f"s{number}"),
            at=now + timedelta(seconds=number),
            version=1,
            cause="planned",
            outcome="WAITING",
        )
    first = ScheduledStart.objects.get(schedule__name="s0", outcome="STARTED")
    engine.cancel_run(str(first.run_id), principal="t", reason="")
    firing.work_off.do()
    waiting = ScheduledStart.objects.filter(outcome="WAITING").values_list("schedule__name", flat=True)
    assert sorted(waiting) == ["s1", "s2", "s3", "s4"]


def failed_starts(name: str, count: int) -> None:
    for _ in range(count):
        ScheduledStart.objects.create(
            schedule=Schedule.objects.get(name=name),
            at=stored.clock(),
            version=1,
            cause="planned",
            outcome="FAILED",
            reason="x",
        )


def test_a_schedule_that_was_paused_because_of_failures_starts_again_when_it_is_resumed() -> None:
    publish(one_step("sample.echo"))
    put_due("fragile", pause_on_failure=2, every="10s")
    failed_starts("fragile", 2)
    firing.work_off.do()
    assert Schedule.objects.get().paused_by == "schedule"
    stored.resume("fragile")
    due = Schedule.objects.get().next_at
    firing.work_off.do()
    assert Schedule.objects.get().paused_at is None
    assert WorkflowRun.objects.count() == 1
    failed_starts("fragile", 2)
    Schedule.objects.update(next_at=due, next_start_at=due)
    firing.work_off.do()
    assert Schedule.objects.get().paused_by == "schedule"


def test_the_last_hours_of_the_calendar_are_no_error() -> None:
    publish(one_step("sample.echo"))
    document = {"workflow": "one", "at": "9999-12-31T23:59:59Z", "jitter": "24h", "catch_up": "none", "overlap": "skip"}
    stored.put("last", document=document, author="test")
    assert Schedule.objects.get().next_at is not None


def test_a_due_step_that_cannot_be_decided_on_holds_up_no_other() -> None:
    publish("name: both\nsteps: {hold: {wait: {any: [{for: 1h}, {signal: ok}]}}}\n")
    bad, good, other = (run.id for run in engine.start_runs("both", [engine.StartRequest({})] * 3, principal="t"))
    StepRun.objects.update(due_at=stored.clock() - timedelta(hours=1))
    StepRun.objects.filter(run_id=bad).update(output={"waits": 5})
    for run_id in (good, other):
        waits = [{"signal": None, "until": stored.clock().isoformat(), "fixed": False, "came": None}]
        StepRun.objects.filter(run_id=run_id).update(output={"waits": waits * 2, "timeout_at": None})
    assert engine.release_due(LANES, limit=9).steps == 3
    ended = WorkflowRun.objects.filter(finished_at__isnull=False).values_list("pk", flat=True)
    assert {str(each) for each in ended} == {good, other}
    assert engine.release_due(LANES, limit=9).steps == 0, "it is looked at again, but not at once"


# --- heartbeats


def claim_of_long_step(attempt: int) -> store.Claim:
    engine.start_runs(publish(one_step("sample.echo")), [engine.StartRequest({})], principal="t")
    run = WorkflowRun.objects.get()
    (claim,) = store.claim([str(run.pk)], worker_id=1, lanes=LANES)
    return replace(claim, attempt=attempt)


def cut_off() -> None:
    """The server ends this connection, as at a failover."""
    with pytest.raises(django.db.Error), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def test_what_a_step_said_while_postgresql_was_away_is_written_afterwards() -> None:
    beat = beats.Beat(claim_of_long_step(1), 60.0, None)
    beat.say(None, {"page": 7})
    cut_off()
    try:
        with pytest.raises(django.db.Error):
            beats.write([beat])
    finally:
        drop_connection()
    beats.write([beat])
    assert StepBeat.objects.get().cursor == {"page": 7}


def test_the_next_attempt_reads_its_cursor_through_a_failover() -> None:
    claim = claim_of_long_step(1)
    beat = beats.Beat(claim, 60.0, None)
    beat.say(None, 7)
    beats.write([beat])
    cut_off()
    try:
        begun = beats.begin(replace(claim, attempt=2), 60.0)
    finally:
        drop_connection()
    assert begun is not None
    assert begun.cursor == 7


def test_an_async_step_that_cannot_begin_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = claim_of_long_step(2)
    monkeypatch.setattr(executor, "MAX_ASYNC", 1)
    mine = executor.Executor(1, LANES, threads=1)
    work = Work("sample.echo", None, 10.0, Retry(max_attempts=2), True, False, heartbeat=60.0)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE workflows_stepbeat RENAME TO away")
    try:
        with pytest.raises(django.db.Error):
            mine._begin_async(claim, registry.get("sample.echo"), work)
        assert mine._async_room.acquire(blocking=False)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO workflows_stepbeat")
        mine.stop(grace=0.0)
