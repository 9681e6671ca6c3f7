"""Real workers, real signals: every accepted run finishes, and every step is recorded exactly once."""

import os
import signal
from pathlib import Path

import pytest
import redis
from django.db import connection

from tests import workers
from tests.definitions import CHAIN, FAN_OUT, one_step, publish
from tests.sample.models import Effect
from tests.support.recordings import recorded
from tests.workers import until
from workflows import engine, queries
from workflows.models import StepRun, WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)

RUNS = 200


def start(workflow: str, count: int, **input: object) -> list[str]:
    return [run.id for run in engine.start_runs(workflow, [engine.StartRequest(input)] * count, principal="t")]


def count(state: str) -> int:
    return WorkflowRun.objects.filter(state=state).count()


def assert_all_succeeded_and_recorded_once(runs: int, steps: int) -> None:
    assert count("SUCCEEDED") == runs
    assert StepRun.objects.filter(state="SUCCEEDED").count() == runs * steps
    assert recorded() == (runs * steps, runs * steps)


def test_a_worker_killed_with_200_runs_in_flight_loses_none(recordings: None, broker: redis.Redis, log: Path) -> None:
    publish(CHAIN)
    with workers.leader(log), workers.worker(log, "first") as first, workers.worker(log, "second"):
        start("chain", RUNS, times=10_000)
        until(lambda: count("SUCCEEDED") >= 10, what="the first runs ended")
        running = StepRun.objects.filter(state="RUNNING", worker__pid=first.pid)
        workers.kill_while(lambda: running.all().exists(), first)
        until(lambda: not running.all().exists(), seconds=30, what="its steps can be claimed by others")
        until(lambda: count("SUCCEEDED") == RUNS, seconds=120)
    assert StepRun.objects.filter(lost__gte=1).count() >= 1
    assert_all_succeeded_and_recorded_once(RUNS, 4)


def test_a_worker_killed_in_the_middle_of_a_fan_out_loses_no_item_and_the_join_fires_once(
    recordings: None, broker: redis.Redis, log: Path
) -> None:
    publish(FAN_OUT)
    done = StepRun.objects.filter(step="each", item__gte=0, state="SUCCEEDED")
    with workers.leader(log), workers.worker(log, "first") as first, workers.worker(log, "second") as second:
        run_id = start("fan-out", 1, items=list(range(400)), times=20_000)[0]
        until(lambda: done.count() >= 20, what="the first items ended")
        running = StepRun.objects.filter(item__gte=0, state="RUNNING")
        busy = running.values_list("worker__pid", flat=True).first() or first.pid
        workers.kill_while(lambda: running.filter(worker__pid=busy).exists(), first if first.pid == busy else second)
        until(lambda: count("SUCCEEDED") == 1, seconds=120)
    assert StepRun.objects.filter(item__gte=0, lost__gte=1).count() >= 1
    output = WorkflowRun.objects.get(pk=run_id).output
    assert [one["key"] for one in output["results"]] == [f"{run_id}:each:{n}" for n in range(400)]
    assert StepRun.objects.get(run_id=run_id, step="after").attempt == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT step, item < 0, count(*), count(DISTINCT item) FROM test_recordings GROUP BY 1, 2")
        assert sorted(cursor.fetchall()) == [("after", True, 1, 1), ("each", False, 400, 400), ("each", True, 1, 1)]


def test_a_flushed_broker_loses_no_run(recordings: None, broker: redis.Redis, log: Path) -> None:
    publish(CHAIN)
    start("chain", RUNS, times=2_000)
    assert sum(broker.llen(lane) for lane in ("critical", "high", "standard", "bulk")) > 0
    with workers.leader(log), workers.worker(log):
        until(lambda: count("SUCCEEDED") >= 5, what="the first runs ended")
        broker.flushall()
        flushed_at = count("SUCCEEDED")
        until(lambda: count("SUCCEEDED") == RUNS, seconds=120)
    assert flushed_at < RUNS, "the flush came too late to prove anything"
    assert_all_succeeded_and_recorded_once(RUNS, 4)


def test_lost_messages_are_found_by_the_leader_alone_or_by_the_workers_alone(
    recordings: None, broker: redis.Redis, log: Path
) -> None:
    publish(CHAIN)
    start("chain", 20, times=10)
    broker.flushall()
    with workers.worker(log):  # no leader: the worker looks for itself
        until(lambda: count("SUCCEEDED") == 20)
    start("chain", 20, times=10)
    broker.flushall()
    with workers.leader(log):  # no worker: the leader publishes again
        until(lambda: broker.llen("standard") > 0, what="the reconciler published the work again")


def test_a_worker_that_froze_past_its_lease_cannot_record_what_others_have_done(
    recordings: None, broker: redis.Redis, log: Path
) -> None:
    publish(CHAIN)
    with workers.leader(log), workers.worker(log, "frozen") as frozen:
        start("chain", 40, times=20_000)
        mine = StepRun.objects.filter(state="RUNNING", worker__pid=frozen.pid)
        until(mine.all().exists)
        os.killpg(frozen.pid, signal.SIGSTOP)
        with workers.worker(log, "other"):
            until(lambda: count("SUCCEEDED") == 40, seconds=120)
            os.killpg(frozen.pid, signal.SIGCONT)
            again = start("chain", 10, times=10)
            until(lambda: WorkflowRun.objects.filter(pk__in=again, state="SUCCEEDED").count() == 10)
            until(lambda: workers.registered(frozen), what="the thawed worker is alive again")
    assert_all_succeeded_and_recorded_once(50, 4)


def test_a_worker_told_to_stop_finishes_or_hands_back(recordings: None, broker: redis.Redis, log: Path) -> None:
    publish(CHAIN)
    with workers.worker(log, "leaving") as leaving:
        start("chain", 60, times=5_000)
        until(lambda: count("SUCCEEDED") >= 3)
        workers.kill(leaving, signal.SIGTERM)
        assert leaving.returncode == 0
    assert StepRun.objects.filter(state="RUNNING").count() == 0, "nothing is left to the lease"
    assert StepRun.objects.filter(lost__gte=1).count() == 0
    with workers.worker(log, "next"):
        until(lambda: count("SUCCEEDED") == 60, seconds=60)
    assert_all_succeeded_and_recorded_once(60, 4)


def test_a_step_that_must_not_be_repeated_is_not_repeated_when_its_worker_dies(
    recordings: None, broker: redis.Redis, log: Path
) -> None:
    publish(one_step("sample.block_once", "{seconds: 60}"))
    with workers.leader(log), workers.worker(log) as dying, workers.worker(log, "other"):
        run = start("one", 1)[0]
        key = f"{run}:only:"
        until(Effect.objects.filter(key=key).exists)
        pid = StepRun.objects.get(run_id=run).worker.pid
        os.kill(pid, signal.SIGKILL)
        until(lambda: queries.run_detail(run)["steps"][0]["status"] == "UNKNOWN")
        assert queries.run_detail(run)["status"] == "WAITING"
        assert Effect.objects.filter(key=key).count() == 1
        engine.resolve_step(run, "only", outcome="succeeded", output={"attempt": 1}, principal="ann")
        assert queries.run_detail(run)["status"] == "SUCCEEDED"
        assert dying.pid


def test_a_run_past_its_deadline_times_out(broker: redis.Redis, log: Path, transactional_db: None) -> None:
    publish(one_step("sample.rest", "{seconds: 30}", name="late").replace("steps:", "timeout: 500ms\nsteps:", 1))
    with workers.leader(log), workers.worker(log):
        run = start("late", 1)[0]
        until(lambda: queries.run_finished(run))
    detail = queries.run_detail(run)
    assert detail["status"] == "TIMED_OUT"
    assert detail["steps"][0]["status"] == "CANCELLED"


def test_connections_cut_again_and_again_lose_nothing_and_repeat_no_recording(
    recordings: None, broker: redis.Redis, log: Path
) -> None:
    publish(CHAIN)
    with workers.leader(log), workers.worker(log, "first"), workers.worker(log, "second"):
        start("chain", RUNS, times=3_000)
        cut = cuts_in_flight = 0
        for tenth in range(1, 9):
            until(lambda tenth=tenth: count("SUCCEEDED") >= tenth * RUNS // 10, seconds=60)
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )
                cut += cursor.fetchone()[0]
            cuts_in_flight += count("SUCCEEDED") < RUNS
        assert cut >= 8, "each round found connections to cut"
        assert cuts_in_flight >= 5, "the cuts came too late to prove anything"
        until(lambda: count("SUCCEEDED") == RUNS, seconds=120)
    assert_all_succeeded_and_recorded_once(RUNS, 4)
