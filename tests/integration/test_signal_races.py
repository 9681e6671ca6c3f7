"""Signals against timeouts and cancels, on real connections: each is given once or refused, and none is lost."""

import os
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from tests.definitions import publish
from tests.integration.conftest import LANES
from tests.support.races import together
from workflows import engine, errors
from workflows.models import RunEvent, RunSignal, WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)

#: signals; ERIP_SIGNAL_RACES=1000 for all of them
SIGNALS = int(os.environ.get("ERIP_SIGNAL_RACES", "60"))
#: runs at a time, each with a signal, and one of three with a cancel
AT_ONCE = 10

RACE = """
name: race
steps:
  hold: {wait: {signal: go, timeout: 1ms, on_timeout: continue}}
  next: {needs: [hold], wait: {for: 1h}}
"""


def send(run_id: str, number: int) -> str:
    try:
        return "given" if engine.signal_run(run_id, "go", number, principal="t").step else "kept"
    except (errors.SignalNotWanted, errors.RunAlreadyEnded):
        return "refused"


def cancel(run_id: str) -> str:
    try:
        engine.cancel_run(run_id, principal="t", reason="race")
    except errors.RunAlreadyEnded:
        return "had ended"
    return "cancelled"


def expire() -> str:
    while engine.release_due(LANES, limit=3).steps:
        pass
    return "looked"


def test_each_signal_is_given_once_or_refused_and_none_is_lost() -> None:
    publish(RACE)
    answers: dict[str, str] = {}
    cancels: Counter[str] = Counter()
    for first in range(0, SIGNALS, AT_ONCE):
        requests = [engine.StartRequest({})] * AT_ONCE
        runs = [run.id for run in engine.start_runs("race", requests, principal="t")]
        signals: list[Callable[[], str]] = [partial(send, run, first + place) for place, run in enumerate(runs)]
        others: list[Callable[[], str]] = [*(partial(cancel, run) for run in runs[::3]), expire, expire]
        done = together([*signals, *others])
        answers.update(zip(runs, done, strict=False))
        cancels.update(done[len(runs) :])
    expire()

    given = Counter(str(run) for run in RunEvent.objects.filter(type="step.signalled").values_list("run_id", flat=True))
    assert RunSignal.objects.count() == 0, "nothing is kept that nobody will take"
    assert set(given.values()) <= {1}
    assert set(given) == {run for run, answer in answers.items() if answer == "given"}
    assert set(answers.values()) <= {"given", "refused"}
    for number, (run_id, answer) in enumerate(answers.items()):
        run = WorkflowRun.objects.get(pk=run_id)
        hold = run.steps.get(step="hold")
        if answer == "given":
            assert hold.output == {"payload": number, "by": "t", "timed_out": False}
        else:
            assert hold.state == "CANCELLED" or hold.output["timed_out"], (run.state, hold.state, hold.output)
    assert cancels["had ended"] == 0, "a run ends only when it is cancelled"
    assert WorkflowRun.objects.filter(state="CANCELLED").count() == cancels["cancelled"]
