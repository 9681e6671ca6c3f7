"""A process that works a batch off is killed in the middle: nothing is lost, and nothing is done twice."""

import signal
from pathlib import Path

import pytest

from tests.support.api import publish
from tests.support.runs import fail, start
from tests.workers import leader, until
from workflows import operations
from workflows.models import BatchRun, RunBatch, RunEvent, RunRetry, WorkflowRun
from workflows.operations import OPERATIONS
from workflows.store import RunFilter

pytestmark = pytest.mark.django_db(transaction=True)

#: of each kind: enough that a leader is killed long before it is done
RUNS = 1_500


def test_a_leader_that_is_killed_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    publish()
    # Critical runs are never refused for load, and no worker is there.
    failed = fail(start(RUNS, lane="critical"))
    live = start(RUNS)
    operations.begin(OPERATIONS["retry"], RunFilter(status="FAILED"), principal="test", expected=RUNS)
    operations.begin(OPERATIONS["cancel"], RunFilter(lane="high"), principal="test", expected=RUNS)

    with leader(tmp_path / "log") as process:
        until(lambda: BatchRun.objects.exclude(outcome=None).exists(), seconds=60, what="the leader has begun")
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
    done = BatchRun.objects.exclude(outcome=None)
    retried = done.filter(outcome="retried").count()
    assert 0 < done.count() < 2 * RUNS, "it was not in the middle"
    assert WorkflowRun.objects.count() == 2 * RUNS + retried  # a portion is there as a whole, or not at all
    operations.work_off(seconds=60)

    assert not RunBatch.objects.filter(finished_at=None).exists()
    assert WorkflowRun.objects.count() == 3 * RUNS
    assert {str(run) for run in RunRetry.objects.values_list("retry_of", flat=True)} == set(failed)
    assert WorkflowRun.objects.filter(pk__in=live, state="CANCELLED").count() == RUNS
    assert RunEvent.objects.filter(type="run.cancelled").count() == RUNS
    assert set(BatchRun.objects.values_list("outcome", flat=True)) == {"retried", "cancelled"}
