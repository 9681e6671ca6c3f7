"""Waits for several things on a real database: what comes early, at once, and during a pause."""

import contextlib
import re
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from tests.definitions import publish
from tests.integration.conftest import LANES
from tests.integration.test_waits import row, start
from tests.workers import until
from workflows import engine, errors
from workflows.explain import explain_run
from workflows.models import RunPause, RunSignal, StepRun, WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)


def waiting(wait: str) -> str:
    publish(f"name: several\nsteps: {{hold: {{wait: {wait}}}}}\noutput: ${{{{ steps.hold.output }}}}")
    return start("several")


def test_the_example_of_the_docs_runs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "definitions.md").read_text()
    found = re.search(r"tests/integration/test_several.py runs it -->\n```yaml\n(.*?)```", text, re.DOTALL)
    assert found
    publish(found[1])
    run_id = start("hear-the-vendor")
    for name in ("evidence.received", "vendor.answer"):
        assert engine.signal_run(run_id, name, name.upper(), principal="ann").step == "both"

    def ended() -> bool:
        engine.release_due(LANES, limit=9)
        return bool(WorkflowRun.objects.get(pk=run_id).finished_at)

    until(ended, what="the run has ended")
    assert WorkflowRun.objects.get(pk=run_id).output == ["VENDOR.ANSWER", 1]


def test_a_ladder_of_times_has_one_row_and_its_next_rung() -> None:
    run_id = waiting("{all: [{for: 1h}, {for: 2h}, {signal: ok}]}")
    first = row(run_id).due_at
    StepRun.objects.filter(run_id=run_id).update(
        due_at=timezone.now(),
        output={
            **row(run_id).output,
            "waits": [
                {**one, "until": timezone.now().isoformat()} if index == 0 else one
                for index, one in enumerate(row(run_id).output["waits"])
            ],
        },
    )
    assert engine.release_due(LANES, limit=9).steps == 1
    assert (row(run_id).due_at - first).total_seconds() == pytest.approx(3600, abs=1)
    assert 'and the signal "ok"; the next moment' in explain_run(run_id)["waits"][0]["sentence"]
    assert engine.signal_run(run_id, "ok", 1, principal="ann").step == "hold"
    with pytest.raises(errors.SignalNotWanted):
        engine.signal_run(run_id, "ok", 2, principal="ann")
    assert RunSignal.objects.count() == 0


def test_signals_that_came_early_are_taken_once_each_and_the_rest_stays_for_others() -> None:
    publish("""
name: early
steps:
  nap: {wait: {for: 1h}}
  any: {needs: [nap], wait: {any: [{signal: a}, {signal: b}]}}
  rest: {needs: [any], wait: {all: [{signal: b}, {signal: c}]}}
""")
    run_id = start("early")
    for name in ("b", "a", "c"):
        assert engine.signal_run(run_id, name, name, principal="ann").step is None
    StepRun.objects.filter(run_id=run_id).update(due_at=timezone.now())
    engine.release_due(LANES, limit=9)
    run = WorkflowRun.objects.get(pk=run_id)
    assert run.state == "SUCCEEDED"
    assert row(run_id, "any").output["signal"] == "a"
    assert [one["payload"] for one in row(run_id, "rest").output["results"]] == ["b", "c"]
    assert RunSignal.objects.count() == 0


@pytest.mark.parametrize("clock", ["stop", "go"])
def test_a_pause_keeps_what_is_left_of_its_times(clock: str) -> None:
    run_id = waiting('{all: [{for: 2h}, {until: "2999-01-01T00:00:00Z"}, {signal: a}], timeout: 900d}')
    engine.pause_run(run_id, principal="ann", clock=clock)
    before = row(run_id).due_at
    RunPause.objects.update(since=timezone.now() - timedelta(hours=1))
    assert engine.signal_run(run_id, "a", 5, principal="ann").step is None
    engine.resume_run(run_id, principal="ann")
    moved = (row(run_id).due_at - before).total_seconds()
    assert moved == pytest.approx(3600 if clock == "stop" else 0, abs=5)
    assert row(run_id).output["waits"][2]["came"] == {"payload": 5, "by": "ann"}


def test_signals_times_and_cancellations_at_once_leave_one_end_and_each_sender_has_the_truth() -> None:
    publish("name: raced\nsteps: {hold: {wait: {any: [{signal: a}, {signal: b}, {for: 1h}]}}}")
    runs = [start("raced") for _ in range(30)]
    for step in StepRun.objects.filter(run_id__in=runs):
        waits = step.output["waits"]
        waits[2]["until"] = timezone.now().isoformat()
        StepRun.objects.filter(run_id=step.run_id).update(due_at=timezone.now(), output={**step.output, "waits": waits})
    barrier, told, lock = threading.Barrier(4), {}, threading.Lock()

    def send(name: str) -> None:
        barrier.wait(timeout=20)
        for run_id in runs:
            try:
                answer: Any = engine.signal_run(run_id, name, name, principal="ann").step
            except (errors.SignalNotWanted, errors.RunAlreadyEnded):
                answer = "refused"
            with lock:
                told[run_id, name] = answer
        connections.close_all()

    def release() -> None:
        barrier.wait(timeout=20)
        while engine.release_due(LANES, limit=2).steps:
            pass
        connections.close_all()

    def cancel() -> None:
        barrier.wait(timeout=20)
        for run_id in reversed(runs[::3]):
            with contextlib.suppress(errors.RunAlreadyEnded):
                engine.cancel_run(run_id, principal="bob")
        connections.close_all()

    threads = [
        threading.Thread(target=target, args=names)
        for target, names in ((send, ("a",)), (send, ("b",)), (release, ()), (cancel, ()))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    until(lambda: not engine.release_due(LANES, limit=99).steps, what="nothing is due")
    ends: Counter[Any] = Counter()
    for run_id in runs:
        held = row(run_id)
        given = [name for name in ("a", "b") if told[run_id, name] == "hold"]
        if held.state == "CANCELLED":
            assert given == []
        else:
            assert held.state == "SUCCEEDED"
            assert given == ([held.output["signal"]] if held.output["signal"] else [])
        ends[held.state if held.state == "CANCELLED" else held.output["first"]] += 1
    assert len(ends) > 1, "nothing raced"
    assert RunSignal.objects.count() == 0
