"""A worker that gets SIGHUP ends in good order and begins again, as the same process."""

import signal
from pathlib import Path

import pytest

from tests.workers import kill, registered, until, worker
from workflows.models import Worker

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_worker_begins_again_after_sighup(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with worker(log) as started:
        # It registers itself before it listens to this signal.
        until(lambda: b" ready." in log.read_bytes(), seconds=120.0, what="the worker is ready")
        first = Worker.objects.get(pid=started.pid, stopped_at=None).pk
        kill(started, signal.SIGHUP)
        until(
            lambda: registered(started) and Worker.objects.exclude(pk=first).filter(pid=started.pid).exists(),
            seconds=120.0,
            what="it has registered itself again",
        )
        assert Worker.objects.get(pk=first).stopped_at is not None
