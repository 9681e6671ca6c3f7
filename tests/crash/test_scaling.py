"""Real worker processes come with a flood and go after it, and no run is lost on the way."""

from pathlib import Path

import pytest
import redis

from monitoring.scaling.models import ScalingEvent
from tests import workers
from tests.definitions import one_step, publish
from tests.workers import until
from workflows import engine
from workflows.models import StepRun, Worker, WorkflowRun

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

SETTINGS = {
    "ERIP_AUTOSCALE_MAX": "4",
    "ERIP_AUTOSCALE_UP_COOLDOWN_SECONDS": "2",
    "ERIP_AUTOSCALE_DOWN_COOLDOWN_SECONDS": "3",
    "ERIP_AUTOSCALE_EVERY_SECONDS": "0.3",
    # A machine that is busy with other things must not fail this test.
    "ERIP_AUTOSCALE_CPU_TARGET": "1",
    "ERIP_LANE_BOUNDS": "critical=0.5,high=1,standard=4",
    "ERIP_WORKER_THREADS": "4",
}


def alive() -> int:
    return Worker.objects.filter(stopped_at=None).exclude(lanes="").count()


def test_workers_come_with_a_flood_and_go_after_it_without_losing_a_run(
    broker: redis.Redis, log: Path, transactional_db: None
) -> None:
    publish(one_step("sample.block", "{seconds: 0.2}", ", timeout: 30s"))
    command = ["manage.py", "autoscale", "--driver", "local", "--log", str(log)]
    with workers.leader(log), workers.process(command, log, **SETTINGS) as scaler:
        until(lambda: alive() == 2, seconds=60, what="the fewest are there")

        def came_with_the_flood() -> bool:
            # However long a worker takes to start here, the flood lasts until then.
            if WorkflowRun.objects.exclude(state="SUCCEEDED").count() < 600:
                engine.start_runs("one", [engine.StartRequest({})] * 600, principal="t")
            return alive() > 2

        until(came_with_the_flood, seconds=120, what="more workers came with the flood")
        flood = WorkflowRun.objects.count()
        assert WorkflowRun.objects.exclude(state="SUCCEEDED").exists()
        until(
            lambda: not WorkflowRun.objects.exclude(state="SUCCEEDED").exists(), seconds=120, what="the flood is over"
        )
        # A second, small load goes on while workers are scaled away.
        for _ in range(10):
            engine.start_runs("one", [engine.StartRequest({})] * 4, principal="t")
            before = alive()
            until(lambda: alive() <= max(2, before - 1), seconds=60)  # noqa: B023
        until(lambda: not WorkflowRun.objects.exclude(state="SUCCEEDED").exists(), what="the small load is done")
        assert alive() == 2
        assert scaler.poll() is None
        scaler.terminate()
        until(lambda: scaler.poll() is not None, seconds=60, what="the autoscaler ends with its workers")
        assert scaler.returncode == 0
        until(lambda: not Worker.objects.filter(stopped_at=None).exists(), what="they said good-bye")
    assert WorkflowRun.objects.count() == flood + 40
    assert not StepRun.objects.filter(lost__gte=1).exists(), "none was cut off"
    directions = list(ScalingEvent.objects.order_by("id").values_list("direction", flat=True))
    assert directions[0] == "up"
    assert directions[-1] == "down"
    assert all(ScalingEvent.objects.values_list("reason", flat=True))
