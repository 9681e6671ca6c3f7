"""SIGTERM: what can finish in the grace period does, the rest is handed back, and every request gets its answer."""

import http.client
import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from django.db import connection, transaction

from erip.access import keys
from erip.foundation.process import alive
from erip.ops.stack.servers import private_servers
from tests import workers
from tests.definitions import CHAIN, one_step, publish
from tests.sample.models import Effect
from tests.support.api import key
from tests.support.web import Web, status, web
from tests.workers import until
from workflows import engine
from workflows.models import StepRun, Worker, WorkflowRun
from workflows.store import LEADER_LOCK

pytestmark = pytest.mark.django_db(transaction=True)


def start(workflow: str, count: int, **input: object) -> list[str]:
    return [run.id for run in engine.start_runs(workflow, [engine.StartRequest(input)] * count, principal="t")]


def ended(started: object, seconds: float = 60) -> int:
    until(lambda: started.poll() is not None, seconds=seconds, what="the process ended")
    return started.returncode


# --- workers ----------------------------------------------------------------------------------------------


def test_a_step_that_can_finish_in_the_grace_does_and_what_waited_goes_to_others_at_once(
    broker: redis.Redis, log: Path, transactional_db: None
) -> None:
    publish(one_step("sample.block_once", "{seconds: 3}"))
    publish(CHAIN)
    with workers.worker(log, "leaving", threads=2) as leaving:
        slow = start("one", 2)
        # Not only claimed: a body that has not begun is handed back, and another worker runs it.
        until(lambda: Effect.objects.count() == 2, what="both bodies run")
        waiting = start("chain", 60, times=100)  # no thread is free: they are prefetched, or in the queue
        leaving.send_signal(signal.SIGTERM)
        with workers.worker(log, "other") as other:
            until(lambda: WorkflowRun.objects.filter(pk__in=waiting, state="SUCCEEDED").count() == 60)
            assert other.poll() is None
        assert ended(leaving) == 0
    assert WorkflowRun.objects.filter(pk__in=slow, state="SUCCEEDED").count() == 2, "steps that must not be repeated"
    assert not StepRun.objects.filter(attempt__gt=1, run_id__in=slow).exists()
    assert not StepRun.objects.filter(lost__gte=1).exists()


def test_a_step_that_cannot_finish_in_the_grace_is_handed_back_and_the_worker_ends(
    broker: redis.Redis, log: Path, transactional_db: None
) -> None:
    publish(one_step("sample.block", "{seconds: 60}", ", timeout: 100s"))
    with workers.worker(log, "leaving", ERIP_SHUTDOWN_GRACE_SECONDS="2") as leaving:
        run = start("one", 1)[0]
        until(StepRun.objects.filter(run_id=run, state="RUNNING").exists)
        leaving.send_signal(signal.SIGTERM)
        assert ended(leaving, 20) == 0, "a thread that still runs must not keep the process"
    step = StepRun.objects.get(run_id=run)
    assert (step.state, step.lost) == ("READY", 0), "handed back, not left to the lease"
    assert not Worker.objects.filter(stopped_at=None).exists()


@pytest.mark.usefixtures("no_chunks")
def test_claims_behind_a_slow_step_are_handed_back_at_once(
    broker: redis.Redis, log: Path, transactional_db: None
) -> None:
    publish(one_step("sample.block", "{seconds: 10}", ", timeout: 30s"))
    running = StepRun.objects.filter(state="RUNNING")
    with workers.worker(log, "leaving", threads=1, ERIP_WORKER_THREADS="1") as leaving:
        start("one", 20)
        until(lambda: running.count() == 20, what="one message's runs are claimed together")
        leaving.send_signal(signal.SIGTERM)
        # Two threads: Celery's one and the executor's one.
        until(lambda: running.count() <= 2, seconds=8, what="the rest is given back")
        assert running.count() >= 1
        assert leaving.poll() is None, "what runs may finish"
        assert ended(leaving) == 0
    succeeded = StepRun.objects.filter(state="SUCCEEDED").count()
    assert 1 <= succeeded <= 4
    assert StepRun.objects.filter(state="READY", lost=0).count() == 20 - succeeded


def test_nothing_is_handed_over_to_a_worker_that_leaves(broker: redis.Redis, log: Path, transactional_db: None) -> None:
    publish(one_step("sample.block", "{seconds: 5}", ", timeout: 30s"))
    with workers.worker(log, "leaving") as leaving:
        start("one", 1)
        until(StepRun.objects.filter(state="RUNNING").exists)
        leaving.send_signal(signal.SIGTERM)
        until(lambda: Worker.objects.get().lanes == "", what="it serves no lane any more")
        assert Worker.objects.get().stopped_at is None, "and keeps what it holds"
        assert ended(leaving) == 0


# --- the leader -------------------------------------------------------------------------------------------


def leads() -> int | None:
    with connection.cursor() as cursor:
        # Only in this database: tests that run beside this one have leaders on the same server.
        cursor.execute(
            "SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database "
            "WHERE locktype = 'advisory' AND granted AND objid = %s AND datname = current_database()",
            [LEADER_LOCK],
        )
        row = cursor.fetchone()
    return row and row[0]


def test_the_leader_gives_up_its_lock_at_once_and_the_other_candidate_takes_it(
    log: Path, transactional_db: None
) -> None:
    with workers.leader(log) as first:
        until(leads, what="the first leads")
        former = leads()
        with workers.leader(log) as second:
            first.send_signal(signal.SIGTERM)
            assert ended(first, 10) == 0
            until(lambda: leads() not in (None, former), seconds=30, what="the second leads")
            assert second.poll() is None


def test_the_leader_ends_even_in_the_middle_of_a_duty(log: Path, transactional_db: None) -> None:
    with workers.leader(log) as leader:
        until(leads)
        blocked = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        with transaction.atomic(), connection.cursor() as cursor:
            # One table: whoever takes two may take the second while a duty that holds it waits for the first.
            cursor.execute("LOCK TABLE workflows_steprun IN ACCESS EXCLUSIVE MODE")

            def stuck() -> bool:
                # Otherwise a transaction keeps seeing the activity as it was at its first look.
                cursor.execute(f"SELECT pg_stat_clear_snapshot(); {blocked}")
                return cursor.fetchone() is not None

            until(stuck, what="a duty waits for a lock")
            leader.send_signal(signal.SIGTERM)
            assert ended(leader, 10) == 0
        until(lambda: leads() is None, what="its lock is free")


# --- heartbeat files --------------------------------------------------------------------------------------


def test_heartbeat_files_show_who_works_and_not_who_hangs(
    broker: redis.Redis, log: Path, tmp_path: Path, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERIP_ALIVE_DIR", str(tmp_path / "alive"))
    assert alive.main(["general@test"]) == 1, "nobody has been heard of"
    with workers.leader(log), workers.worker(log) as worker:
        until(lambda: alive.main(["general@test"]) == 0 and alive.main(["leader"]) == 0)
        os.kill(worker.pid, signal.SIGSTOP)
        until(lambda: alive.main(["general@test", "--within", "3"]) == 1, what="a frozen worker is silent")
        os.kill(worker.pid, signal.SIGCONT)
        until(lambda: alive.main(["general@test", "--within", "3"]) == 0)
        worker.send_signal(signal.SIGTERM)
        ended(worker)


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_a_worker_whose_broker_is_away_is_alive_while_it_lives_on_postgresql(
    log: Path,
    tmp_path: Path,
    transactional_db: None,
    settings: object,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    monkeypatch.setenv("ERIP_ALIVE_DIR", str(tmp_path / "alive"))
    with private_servers(postgres=False) as (_, own_broker):
        settings.ERIP_BROKER_URL = own_broker.url
        with workers.worker(log):
            until(lambda: alive.silence("general@test") is not None)
            getattr(own_broker, fault)()
            touched: set[float] = set()

            def touched_often() -> bool:
                touched.add(alive.path_of("general@test").stat().st_mtime)
                assert alive.main(["general@test"]) == 0, "killing it would fix nothing"
                return len(touched) > 15

            until(touched_often, seconds=60, what="it goes on beating long after its last message")
            own_broker.resume()


# --- web --------------------------------------------------------------------------------------------------


def call(url: str, token: str, path: str, body: object = None, **headers: str) -> tuple[int, dict, dict]:
    link = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        named = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"} | headers
        link.request("GET" if body is None else "POST", path, body and json.dumps(body), named)
        answer = link.getresponse()
        return answer.status, dict(answer.headers), json.loads(answer.read())
    finally:
        link.close()


@pytest.fixture
def token(transactional_db: None) -> str:
    keys.forget_cached()
    publish(one_step("sample.rest", "{seconds: 60}"))
    return key()


def child_of(serving: Web) -> int:
    import psutil

    return psutil.Process(serving.process.pid).children()[0].pid


def test_a_web_process_that_drains_says_so_serves_on_and_lets_waiting_callers_go(log: Path, token: str) -> None:
    with web(log, ERIP_DRAIN_SECONDS="8") as serving, ThreadPoolExecutor(5) as pool:
        waiting = [
            pool.submit(call, serving.url, token, "/api/v1/workflows/one/runs", {"input": {}}, Prefer="wait=50")
            for _ in range(5)
        ]
        until(lambda: WorkflowRun.objects.count() == 5)
        assert not any(one.done() for one in waiting)
        told = time.monotonic()
        serving.process.send_signal(signal.SIGTERM)
        for one in waiting:
            code, headers, run = one.result(60)
            assert code == 202, "the run goes on; its id is the answer"
            assert headers["Location"].endswith(run["id"])
        assert time.monotonic() - told < 45, "nobody waits on"
        until(lambda: status(f"{serving.url}/health/ready") == 503)
        # The load balancer has not noticed yet: new requests are served, and their connections are closed.
        code, headers, run = call(serving.url, token, "/api/v1/workflows/one/runs", {"input": {}}, Prefer="wait=50")
        assert (code, headers["Connection"]) == (202, "close")
        assert ended(serving.process, 60) == 0
        assert status(f"{serving.url}/health/live") == 0


def test_requests_in_flight_finish_and_idle_connections_hold_nothing_up(log: Path, token: str) -> None:
    with web(log, ERIP_DRAIN_SECONDS="0.5", ERIP_WEB_GRACE_SECONDS="120") as serving:
        idle = http.client.HTTPConnection(urlsplit(serving.url).netloc, timeout=60)
        idle.request("GET", "/health/live")
        idle.getresponse().read()
        body = {"workflow": "one", "inputs": [{}] * 5_000, "lane": "bulk"}
        answers: list[tuple[int, dict, dict]] = []
        bulk = threading.Thread(target=lambda: answers.append(call(serving.url, token, "/api/v1/runs/bulk", body)))
        bulk.start()
        until(WorkflowRun.objects.exists, what="the first part of the bulk is accepted")
        told = time.monotonic()
        serving.process.send_signal(signal.SIGTERM)
        bulk.join(100)
        assert answers[0][0] == 202
        assert WorkflowRun.objects.count() == 5_000
        assert ended(serving.process, 110) == 0
        assert time.monotonic() - told < 110, "the idle connection was not waited for"
        idle.close()
