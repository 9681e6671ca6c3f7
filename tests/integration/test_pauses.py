"""Pausing and resuming on a real database: what is parked, what goes on meanwhile, times, items, and races."""

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from erip.access.scopes import Scope
from tests.definitions import publish
from tests.integration.conftest import LANES
from tests.integration.test_waits import Hand, row, start, states, waiting, waiting_text
from tests.support.api import Api, key
from tests.workers import until
from workflows import engine, errors, operations, queries, store
from workflows.core import machine
from workflows.explain import explain_run
from workflows.models import RunBatch, RunEvent, RunPause, RunSignal, StepRun, Worker, WorkflowRun
from workflows.store import Report

pytestmark = pytest.mark.django_db(transaction=True)

UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def hand() -> Hand:
    return Hand()


def pause(run_id: str, **more: Any) -> None:
    engine.pause_run(run_id, principal="ann", **more)


def resume(run_id: str) -> None:
    engine.resume_run(run_id, principal="bob")


def state(run_id: str) -> str:
    return WorkflowRun.objects.get(pk=run_id).state


def waited(run_id: str, hours: float) -> None:
    """Let the pause of a run have begun so much earlier."""
    RunPause.objects.filter(run_id=run_id).update(since=timezone.now() - timedelta(hours=hours))


# --- what is parked


def test_what_is_paused_is_in_no_queue_and_no_backlog(hand: Hand) -> None:
    waiting("{for: 1h}")
    run_id = start()
    pause(run_id, reason="audit")
    assert (state(run_id), states(run_id)["before"]) == ("PAUSED", "PAUSED")
    assert store.lane_loads(LANES, count_to=9)["standard"].waiting == 0
    assert store.stale_ready_runs([("standard", 9)], older_than=-1, limit=9) == []
    assert store.rehint_stale_ready(older_than=-1, again_after=0, limit=9) == []
    assert store.claim([run_id], worker_id=hand.id, lanes=LANES) == []
    told = explain_run(run_id)
    assert "paused at" in told["summary"]
    assert "by ann (audit)" in told["summary"]
    assert told["waits"][0]["waits_for"] == "resumption"
    resume(run_id)
    assert (state(run_id), states(run_id)["before"]) == ("PENDING", "READY")
    assert RunPause.objects.count() == 0
    hand.work(run_id)
    assert (state(run_id), states(run_id)["hold"]) == ("WAITING", "WAITING")
    by = {event["type"]: event["detail"].get("by") for event in queries.run_events(run_id)}
    assert (by["run.paused"], by["run.resumed"]) == ("ann", "bob")


def test_a_step_that_runs_is_recorded_and_what_follows_is_born_parked(hand: Hand) -> None:
    waiting("{for: 1h}")
    run_id = start()
    claims = store.claim([run_id], worker_id=hand.id, lanes=LANES, known=hand.known)
    pause(run_id)
    assert states(run_id)["before"] == "RUNNING"
    waited(run_id, 5)
    done = Report(run_id, machine.StepSucceeded("before", claims[0].attempt, {"value": 1}))
    assert not engine.report([done]).discarded
    assert states(run_id) == {"before": "SUCCEEDED", "hold": "PAUSED", "after": "PENDING"}
    assert state(run_id) == "PAUSED"
    resume(run_id)
    left = row(run_id).due_at - timezone.now()
    assert timedelta(minutes=59) < left <= timedelta(hours=1), "its hour counts from the resumption"
    assert row(run_id).started_at is not None


def test_a_run_whose_last_step_was_running_ends_while_it_is_paused(hand: Hand) -> None:
    publish("name: last\nsteps: {only: {uses: sample.echo, with: {value: 1}}}")
    run_id = start("last")
    claims = store.claim([run_id], worker_id=hand.id, lanes=LANES)
    pause(run_id)
    engine.report([Report(run_id, machine.StepSucceeded("only", claims[0].attempt, {"value": 1}))])
    assert state(run_id) == "SUCCEEDED"
    with pytest.raises(errors.RunAlreadyEnded):
        resume(run_id)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_workflowrun SET finished_at = now() - interval '1 day'")
    assert store.archive_runs(older_than=0, limit=10) == 1, "its pause does not keep it from the archive"


# --- times


@pytest.mark.parametrize("clock", ["stop", "go"])
def test_what_is_left_of_each_time_is_kept_or_goes_on(hand: Hand, clock: str) -> None:
    publish("""
name: times
timeout: 3h
steps:
  nap: {wait: {for: 1h}}
  ask: {wait: {signal: ok, timeout: 2h}}
  moment: {wait: {until: "2999-01-01T00:00:00Z"}}
  work: {uses: sample.echo, with: {value: 1}}
""")
    run_id = start("times")
    claims = store.claim([run_id], worker_id=hand.id, lanes=LANES)
    fault = {"code": "x", "message": "y"}
    failed = machine.StepFailed("work", claims[0].attempt, fault, True, 0.5, retry_after=1800)
    engine.report([Report(run_id, failed)])
    pause(run_id, clock=clock)
    # An hour and a half go by: everything is an hour and a half older than it was.
    with connection.cursor() as cursor:
        past = "- interval '90 minutes'"
        cursor.execute(f"UPDATE workflows_steprun SET due_at = due_at {past} WHERE step <> 'moment'")
        cursor.execute(f"UPDATE workflows_workflowrun SET deadline_at = deadline_at {past}")
        cursor.execute(f"UPDATE workflows_runpause SET since = since {past}")
    assert store.lock_due(LANES, limit=9) == []
    assert store.overdue_runs(limit=9) == []
    told = explain_run(run_id)
    resume(run_id)
    left = {step.step: (step.due_at - timezone.now()).total_seconds() / 60 for step in StepRun.objects.all()}
    deadline = WorkflowRun.objects.get(pk=run_id).deadline_at
    assert deadline is not None
    left["run"] = (deadline - timezone.now()).total_seconds() / 60
    assert left.pop("moment") > 1e6
    expected = {"nap": 60, "ask": 120, "work": 30, "run": 180}
    if clock == "go":
        expected = {name: minutes - 90 for name, minutes in expected.items()}
    assert {name: round(minutes) for name, minutes in left.items()} == expected
    assert {step.state for step in StepRun.objects.all()} == {"WAITING"}
    assert sorted(found[1] for found in store.lock_due(LANES, limit=9)) == (["nap", "work"] if clock == "go" else [])
    sentence = "what is left of each time is kept, and 2 h 59 min until its deadline."
    assert (sentence in told["summary"].replace("3 h until", "2 h 59 min until")) is (clock == "stop")


def test_the_deadline_of_a_paused_run_counts_only_while_its_clock_goes_on() -> None:
    for clock, ends in (("stop", []), ("go", ["TIMED_OUT"])):
        publish("name: late\ntimeout: 1h\nsteps: {nap: {wait: {for: 2h}}}")
        run_id = start("late")
        pause(run_id, clock=clock)
        WorkflowRun.objects.filter(pk=run_id, deadline_at__isnull=False).update(deadline_at=timezone.now())
        engine.report([Report(id_, machine.RunTimedOut()) for id_ in store.overdue_runs(limit=9)])
        assert [state(run_id)] == (ends or ["PAUSED"])
        assert StepRun.objects.get(run_id=run_id).state == ("CANCELLED" if ends else "PAUSED")


# --- what comes meanwhile


def test_a_signal_that_comes_meanwhile_is_kept_and_given_at_the_resumption(hand: Hand) -> None:
    waiting("{signal: ok, timeout: 1h}")
    run_id = start()
    hand.work(run_id)
    pause(run_id)
    assert engine.signal_run(run_id, "ok", 7, principal="ann").step is None
    with pytest.raises(errors.SignalNotWanted):
        engine.signal_run(run_id, "ok", 8, principal="ann")
    assert states(run_id)["hold"] == "PAUSED"
    resume(run_id)
    assert (row(run_id).state, row(run_id).output["payload"]) == ("SUCCEEDED", 7)
    assert (states(run_id)["after"], state(run_id), RunSignal.objects.count()) == ("READY", "RUNNING", 0)


def test_a_paused_run_can_be_cancelled_and_its_unknown_step_resolved(hand: Hand) -> None:
    publish("name: odd\nsteps: {a: {uses: sample.block_once, with: {seconds: 0}}}")
    run_id = start("odd")
    claims = store.claim([run_id], worker_id=hand.id, lanes=LANES)
    pause(run_id)
    engine.report([Report(run_id, machine.StepLost("a", claims[0].attempt, 3))])
    assert states(run_id)["a"] == "UNKNOWN"
    engine.resolve_step(run_id, "a", outcome="retry", principal="ann")
    assert (states(run_id)["a"], state(run_id)) == ("PAUSED", "PAUSED")
    engine.cancel_run(run_id, principal="ann")
    assert (states(run_id)["a"], state(run_id)) == ("CANCELLED", "CANCELLED")


def test_places_that_became_free_during_a_pause_are_filled_after_it(hand: Hand) -> None:
    publish("""
name: fan
steps:
  each: {uses: sample.echo, foreach: [1, 2, 3, 4, 5, 6], max_parallel: 2, with: {value: 1}}
  after: {uses: sample.echo, needs: [each], with: {value: 1}}
""")
    run_id = start("fan")
    claims = store.claim([run_id], worker_id=hand.id, lanes=LANES)
    assert len(claims) == 2
    pause(run_id)
    done = [Report(run_id, machine.StepSucceeded("each", one.attempt, {"value": 1}, one.item)) for one in claims]
    assert not engine.report(done).discarded
    items = StepRun.objects.filter(run_id=run_id, item__gte=0)
    assert Counter(items.values_list("state", flat=True)) == {"SUCCEEDED": 2, "PENDING": 4}
    resume(run_id)
    assert Counter(items.values_list("state", flat=True)) == {"SUCCEEDED": 2, "READY": 2, "PENDING": 2}
    pause(run_id)
    assert Counter(items.values_list("state", flat=True)) == {"SUCCEEDED": 2, "PAUSED": 2, "PENDING": 2}
    resume(run_id)
    for _ in range(3):
        hand.work(run_id)
        engine.report(
            [
                Report(run_id, machine.StepSucceeded(one.step, one.attempt, {"value": 1}, one.item))
                for one in StepRun.objects.filter(run_id=run_id, state="RUNNING", items=None)
            ]
        )
    assert state(run_id) == "SUCCEEDED"


def test_all_items_may_end_during_a_pause(hand: Hand) -> None:
    publish("""
name: fan
steps:
  each: {uses: sample.echo, foreach: [1, 2], with: {value: 1}}
  after: {uses: sample.echo, needs: [each], with: {value: 1}}
""")
    run_id = start("fan")
    claims = store.claim([run_id], worker_id=hand.id, lanes=LANES)
    pause(run_id)
    engine.report([Report(run_id, machine.StepSucceeded("each", 1, {"value": 1}, one.item)) for one in claims])
    assert (states(run_id)["each"], states(run_id)["after"]) == ("SUCCEEDED", "PAUSED")
    resume(run_id)
    assert states(run_id)["after"] == "READY"


# --- many, and at once


def test_many_runs_are_paused_and_resumed_with_the_outcome_of_each() -> None:
    waiting("{for: 1h}")
    runs = [one.id for one in engine.start_runs("waits", [engine.StartRequest({})] * 1_200, principal="t")]
    engine.cancel_run(runs[0], principal="t")
    pause(runs[1])
    wrong = [UNKNOWN, "x", ""]
    outcomes = engine.pause_runs([*runs, *wrong], principal="ann")
    assert [one.run_id for one in outcomes] == [*runs, *wrong]
    expected = {"run_already_ended": 1, "run_already_paused": 1, "unknown_run": 3, None: 1_198}
    assert Counter(one.error and one.error.code for one in outcomes) == expected
    assert StepRun.objects.filter(state="READY").count() == 0
    outcomes = engine.resume_runs(runs, principal="ann")
    assert Counter(one.error and one.error.code for one in outcomes) == {"run_already_ended": 1, None: 1_199}
    assert StepRun.objects.filter(state="READY").count() == 1_199
    assert RunEvent.objects.filter(type="run.resumed").count() == 1_199


def test_pauses_resumptions_signals_timeouts_and_cancellations_at_once_lose_nothing() -> None:
    publish(waiting_text("{signal: ok, timeout: 1h, on_timeout: continue}", name="raced"))
    runs = [start("raced") for _ in range(40)]
    hand = Hand()
    for run_id in runs:
        hand.work(run_id)
    StepRun.objects.filter(run_id__in=runs, step="hold").update(due_at=timezone.now() - timedelta(seconds=1))
    barrier, told, paused, lock, over = threading.Barrier(4), {}, Counter(), threading.Lock(), threading.Event()

    def send() -> None:
        barrier.wait(timeout=20)
        for number, run_id in enumerate(runs):
            try:
                answer = engine.signal_run(run_id, "ok", number, principal="ann").step
            except (errors.SignalNotWanted, errors.RunAlreadyEnded):
                answer = "refused"
            with lock:
                told[run_id] = answer
        connections.close_all()

    def release() -> None:
        barrier.wait(timeout=20)
        while not over.is_set():
            engine.release_due(LANES, limit=3)
        connections.close_all()

    def cancel() -> None:
        barrier.wait(timeout=20)
        for run_id in reversed(runs[::4]):
            engine.cancel_run(run_id, principal="bob")
        connections.close_all()

    def hold() -> None:
        barrier.wait(timeout=20)
        for portion in (runs[:20], runs[10:], runs[::2]):
            done = engine.pause_runs(portion, principal="cleo", clock="go")
            paused.update(one.error.code if one.error else "done" for one in done)
            engine.resume_runs(portion, principal="cleo")
        over.set()
        connections.close_all()

    threads = [threading.Thread(target=target) for target in (send, release, cancel, hold)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert paused["done"] > 20
    until(lambda: not engine.release_due(LANES, limit=100).steps, what="nothing is due")
    ends = Counter()
    for number, run_id in enumerate(runs):
        held = row(run_id)
        assert held.state in ("SUCCEEDED", "CANCELLED"), "nothing is left parked"
        timed_out = held.output is not None and held.output["timed_out"]
        ends["cancelled" if held.state == "CANCELLED" else "timed out" if timed_out else "given"] += 1
        if told[run_id] == "hold" or (told[run_id] is None and held.state == "SUCCEEDED" and not timed_out):
            assert (held.state, held.output["payload"]) == ("SUCCEEDED", number)
        elif told[run_id] == "refused":
            assert held.state == "CANCELLED" or timed_out
    assert len(ends) > 1, "nothing raced"
    assert not StepRun.objects.filter(state="PAUSED").exists()
    assert RunPause.objects.exclude(run__finished_at__isnull=False).count() == 0


@pytest.mark.parametrize("clock", ["stop", "go"])
def test_all_runs_that_a_filter_matches_are_paused_and_resumed(clock: str) -> None:
    waiting("{for: 1h}")
    runs = [one.id for one in engine.start_runs("waits", [engine.StartRequest({})] * 30, principal="t")]
    engine.cancel_run(runs[0], principal="t")
    pause(runs[1])
    operator = Api(key(Scope.OPERATOR))
    only = {"filter": {"workflow": "waits"}, "reason": "audit"}
    assert operator.post("/runs/pause", {**only, "dry_run": True}).json()["count"] == 28
    old = store.register_worker("old-one", "here", 1, LANES)
    Worker.objects.filter(pk=old).update(level=2)
    answer = operator.post("/runs/pause", {**only, "clock": clock})
    assert answer.status_code == 202
    address = answer.headers["Location"].removeprefix("/api/v1")
    operations.work_off(seconds=30)
    assert "old-one" in operator.get(address).json()["waits_for"]
    Worker.objects.filter(pk=old).update(stopped_at=timezone.now())
    RunBatch.objects.update(not_before=None)
    engine.cancel_run(runs[2], principal="t")
    operations.work_off(seconds=30)
    assert operator.get(address).json()["outcomes"] == {"paused": 27, "already_ended": 1}
    assert set(RunPause.objects.exclude(run=runs[1]).values_list("clock", "reason")) == {(clock, "audit")}
    answer = operator.post("/runs/resume", {"filter": {"workflow": "waits"}, "expected_count": 28})
    operations.work_off(seconds=30)
    assert operator.get(answer.headers["Location"].removeprefix("/api/v1")).json()["outcomes"] == {"resumed": 28}
    assert Counter(WorkflowRun.objects.values_list("state", flat=True)) == {"PENDING": 28, "CANCELLED": 2}


# --- doors


def test_a_pause_waits_for_the_end_of_an_upgrade() -> None:
    waiting("{for: 1h}")
    run_id = start()
    old = store.register_worker("old-one", "here", 1, LANES)
    Worker.objects.filter(pk=old).update(level=2)
    with pytest.raises(errors.NotYetPossible, match="old-one"):
        pause(run_id)
    Worker.objects.filter(pk=old).update(stopped_at=timezone.now())
    pause(run_id)


def test_over_the_api() -> None:
    waiting("{for: 1h}")
    run_id = start()
    viewer, operator = Api(key(Scope.VIEWER)), Api(key(Scope.OPERATOR))
    assert viewer.post(f"/runs/{run_id}/pause").status_code == 403
    answer = operator.post(f"/runs/{run_id}/pause", {"reason": "audit", "clock": "go"})
    assert (answer.status_code, answer.json()["status"]) == (200, "PAUSED")
    assert operator.post(f"/runs/{run_id}/pause").json()["code"] == "run-already-paused"
    answer = operator.post(f"/runs/{run_id}/resume")
    assert (answer.status_code, answer.json()["status"]) == (200, "PENDING")
    assert operator.post(f"/runs/{run_id}/resume").json()["code"] == "run-not-paused"
    assert operator.post(f"/runs/{UNKNOWN}/pause").status_code == 404
    wrong = operator.post(f"/runs/{run_id}/pause", {"clock": "slow", "reason": 5, "why": 1})
    assert (wrong.status_code, {one["path"] for one in wrong.json()["faults"]}) == (422, {"clock", "reason", "why"})


def test_in_the_admin(admin_client: Any) -> None:
    waiting("{for: 1h}")
    run_id = start()
    address = f"/admin/workflows/workflowrun/{run_id}"
    assert "Pause" in admin_client.get(f"{address}/change/").content.decode()
    admin_client.post(f"{address}/pause/", {"_form_submitted": "on", "clock": "stop", "reason": "audit"})
    assert state(run_id) == "PAUSED"
    page = admin_client.get(f"{address}/change/").content.decode()
    assert "waits for the run to be resumed" in page
    admin_client.post(f"{address}/resume/", {"_form_submitted": "on"})
    assert state(run_id) == "PENDING"
    selected = {"action": "pause_selected", "index": "0", "_selected_action": [run_id]}
    assert "Pause 1 run?" in admin_client.post("/admin/workflows/workflowrun/", selected).content.decode()
    admin_client.post("/admin/workflows/workflowrun/", {**selected, "confirmed": "1", "expected": "1"})
    operations.work_off(seconds=9)
    assert state(run_id) == "PAUSED"
