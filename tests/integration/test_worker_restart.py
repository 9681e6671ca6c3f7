"""A worker that gets SIGHUP ends in good order and begins again, as the same process."""

import signal
from pathlib import Path

import pytest

from monitoring.models import Component
from tests.definitions import one_step, publish
from tests.workers import kill, registered, until, worker
from workflows import engine
from workflows.models import StepRun, Worker

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_worker_begins_again_after_sighup(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with worker(log) as started:
        # It registers itself before it listens to this signal.
        until(lambda: b" ready." in log.read_bytes(), seconds=120.0, what="the worker is ready")
        first = Worker.objects.get(pid=started.pid, stopped_at=None).pk
        mine = Component.objects.filter(kind="worker", pid=started.pid)
        until(mine.exists, what="it reports itself")
        life = mine.get().pk
        kill(started, signal.SIGHUP)
        until(
            lambda: registered(started) and Worker.objects.exclude(pk=first).filter(pid=started.pid).exists(),
            seconds=120.0,
            what="it has registered itself again",
        )
        assert Worker.objects.get(pk=first).stopped_at is not None
        # What an app does at the end of a process was done.
        assert Component.objects.get(pk=life).stopped_at is not None


def test_what_cannot_finish_in_the_grace_is_handed_back_and_the_worker_begins_again(tmp_path: Path) -> None:
    publish(one_step("sample.block", "{seconds: 100}", ", timeout: 200s"))
    log = tmp_path / "worker.log"
    with worker(log, ERIP_SHUTDOWN_GRACE_SECONDS="2") as started:
        until(lambda: b" ready." in log.read_bytes(), seconds=120.0, what="the worker is ready")
        first = Worker.objects.get(pid=started.pid, stopped_at=None).pk
        (run,) = engine.start_runs("one", [engine.StartRequest({})], principal="t")
        held = StepRun.objects.filter(run_id=run.id, state="RUNNING")
        until(held.filter(worker_id=first).exists, what="it runs")
        kill(started, signal.SIGHUP)
        until(held.exclude(worker_id=first).exists, seconds=120.0, what="its next life runs it")
        assert registered(started)
        assert StepRun.objects.get(run_id=run.id).lost == 0, "handed back, not left to the lease"
