"""Waits outlive the processes that handled them: no process holds a waiting run, and none is needed to keep it."""

import os
import signal
from pathlib import Path

import pytest
import redis

from tests import workers
from tests.definitions import publish
from tests.workers import until
from workflows import engine, queries
from workflows.models import StepRun, WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)

WAITS = """
name: waits
steps:
  before: {uses: sample.echo, with: {value: 1}}
  nap: {needs: [before], wait: {for: 1500ms}}
  hold: {needs: [nap], wait: {signal: go}}
  after: {uses: sample.echo, needs: [hold], with: {value: "${{ steps.hold.output.payload }}"}}
output: ${{ steps.after.output.value }}
"""


def states(step: str, state: str) -> int:
    return StepRun.objects.filter(step=step, state=state).count()


def test_workers_alone_end_waits_and_a_killed_one_takes_none_with_it(
    broker: redis.Redis, log: Path, transactional_db: None
) -> None:
    """Without a leader. The first half of the signals comes before a step waits for them."""
    publish(WAITS)
    runs = [run.id for run in engine.start_runs("waits", [engine.StartRequest({})] * 40, principal="t")]
    for number, run in enumerate(runs[:20]):
        assert engine.signal_run(run, "go", number, principal="t").step is None
    with workers.worker(log, "dying") as dying:
        until(lambda: states("nap", "WAITING") == 40, what="all runs wait")
        os.kill(dying.pid, signal.SIGKILL)
    with workers.worker(log, "next"):
        until(lambda: WorkflowRun.objects.filter(state="SUCCEEDED").count() == 20, what="those that had their signal")
        until(lambda: states("hold", "WAITING") == 20, what="the others wait for it")
        for number, run in enumerate(runs[20:], start=20):
            assert engine.signal_run(run, "go", number, principal="t").step == "hold"
        until(lambda: WorkflowRun.objects.filter(state="SUCCEEDED").count() == 40, what="all have ended")
    assert [queries.run_detail(run)["output"] for run in runs] == list(range(40))
    assert StepRun.objects.filter(step__in=["nap", "hold"], attempt__gt=0).count() == 0
