"""Waits with groups in groups and with conditions, on a real database: what happens at once, and to other steps."""

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
from tests.integration.test_waits import Hand, row, start
from tests.workers import until
from workflows import engine, errors, store
from workflows.core import machine
from workflows.explain import explain_run
from workflows.graphs import graph_of
from workflows.models import RunSignal, StepRun, WorkflowRun
from workflows.store import Report

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_example_of_the_docs_runs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "definitions.md").read_text("utf-8")
    found = re.search(r"tests/integration/test_several_groups.py runs it -->\n```yaml\n(.*?)```", text, re.DOTALL)
    assert found
    publish(found[1])
    heard, contained, both = (start("hear-everyone") for _ in range(3))
    for name in ("evidence.received", "lawyer.answer"):
        assert engine.signal_run(heard, name, name, principal="ann").step == "heard"
    assert row(heard, "heard").state == "SUCCEEDED"
    # A condition that is false has not come; the run waits for the rest of it.
    for run, complete in ((contained, True), (both, False)):
        assert engine.signal_run(run, "contained", {"complete": complete}, principal="ann").step == "contain"
    assert WorkflowRun.objects.get(pk=contained).output == "contained"
    told = explain_run(both)["waits"][0]
    assert 'the first of (the signal "lawyer.answer" and (the first of' in told["sentence"]
    with pytest.raises(errors.RunAlreadyEnded):
        engine.signal_run(contained, "lawyer.answer", 1, principal="ann")
    assert engine.signal_run(heard, "contained", {"complete": True}, principal="ann").step == "contain"
    assert WorkflowRun.objects.get(pk=heard).output == "heard"


RACED = """
name: raced
steps:
  work: {uses: sample.echo, with: {value: 1}}
  hold:
    wait:
      any:
        - all: [{signal: a}, {for: 1h}]
        - all: [{signal: b}, {any: [{signal: c}, {for: 2h}]}]
        - {when: "${{ steps.work.status == 'SUCCEEDED' }}"}
"""


def test_signals_times_other_steps_and_cancellations_at_once_leave_one_end_and_each_sender_has_the_truth() -> None:
    publish(RACED)
    runs = [start("raced") for _ in range(32)]
    hand = Hand()
    claims = store.claim(runs, worker_id=hand.id, lanes=LANES, known=hand.known)
    assert len(claims) == len(runs)
    now = timezone.now()
    for step in StepRun.objects.filter(run_id__in=runs, step="hold"):
        waits = [one | {"until": now.isoformat()} if one["until"] else one for one in step.output["waits"]]
        StepRun.objects.filter(run_id=step.run_id, step="hold").update(
            due_at=now - timedelta(seconds=1), output={**step.output, "waits": waits}
        )
    barrier, told, lock = threading.Barrier(6), {}, threading.Lock()

    def send(name: str, order: int) -> None:
        for run_id in runs[order:] + runs[:order]:
            try:
                answer: Any = engine.signal_run(run_id, name, name, principal="ann").step
            except (errors.SignalNotWanted, errors.RunAlreadyEnded):
                answer = "refused"
            with lock:
                told[run_id, name] = answer

    def release() -> None:
        while engine.release_due(LANES, limit=2).steps:
            pass

    def report() -> None:
        for claim in reversed(claims):
            happening = machine.StepSucceeded(claim.step, claim.attempt, {"value": 1})
            store.apply([Report(claim.run_id, happening)], graph_of=graph_of, reporter=hand.id, known=hand.known)

    def cancel() -> None:
        for run_id in runs[::4]:
            with contextlib.suppress(errors.RunAlreadyEnded):
                engine.cancel_run(run_id, principal="bob")

    def together(do: Any, *args: Any) -> None:
        barrier.wait(timeout=20)
        try:
            do(*args)
        finally:
            connections.close_all()

    works = [(send, "a", 0), (send, "b", 8), (send, "c", 16), (release,), (report,), (cancel,)]
    threads = [threading.Thread(target=together, args=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    until(lambda: not engine.release_due(LANES, limit=99).steps, what="nothing is due")
    ends: Counter[Any] = Counter()
    for run_id in runs:
        run, held = WorkflowRun.objects.get(pk=run_id), row(run_id)
        given = {name for name in ("a", "b", "c") if told[run_id, name] == "hold"}
        assert all(told[run_id, name] in ("hold", "refused") for name in ("a", "b", "c"))
        if held.state == "CANCELLED":
            assert run.state == "CANCELLED"
        else:
            # A run whose wait is over may be cancelled while `work` goes on.
            assert held.state == "SUCCEEDED"
            assert run.state in ("SUCCEEDED", "CANCELLED")
            assert signals_in(held.output) == given
        ends[held.state if held.state == "CANCELLED" else held.output["first"]] += 1
    assert len(ends) > 1, "nothing raced"
    assert RunSignal.objects.count() == 0


def signals_in(output: Any) -> set[str]:
    if not isinstance(output, dict):
        return set()
    own = {output["signal"]} if output.get("signal") else set()
    return own.union(*(signals_in(one) for one in output.get("results", ())))


def test_a_worker_that_reports_lets_the_wait_end_and_what_follows_begin(run_to_end: Any) -> None:
    """The condition is decided by the report of another step, which a worker decides without a lock otherwise."""
    publish(RACED + "  after: {uses: sample.echo, needs: [hold], with: {value: '${{ steps.hold.output.first }}'}}")
    run = run_to_end("raced")
    assert run.state == "SUCCEEDED"
    assert row(str(run.pk), "after").output == {"value": 2, **row(str(run.pk), "after").output}
    assert row(str(run.pk), "hold").due_at is None


def test_a_pause_keeps_what_other_steps_do_meanwhile() -> None:
    publish(RACED)
    run_id = start("raced")
    hand = Hand()
    [claim] = store.claim([run_id], worker_id=hand.id, lanes=LANES, known=hand.known)
    engine.pause_run(run_id, principal="ann")
    happening = machine.StepSucceeded(claim.step, claim.attempt, {"value": 1})
    store.apply([Report(run_id, happening)], graph_of=graph_of, reporter=hand.id, known=hand.known)
    assert row(run_id).state == "PAUSED"
    engine.resume_run(run_id, principal="ann")
    assert (row(run_id).state, row(run_id).output["first"]) == ("SUCCEEDED", 2)


def test_of_signals_that_were_kept_a_group_takes_what_it_wants_and_leaves_the_rest() -> None:
    publish("""
name: kept
steps:
  nap: {wait: {for: 1h}}
  hold: {needs: [nap], wait: {all: [{any: [{signal: a}, {signal: b}]}, {signal: c}]}}
  rest: {needs: [hold], wait: {signal: b}}
""")
    run_id = start("kept")
    for name in ("a", "b", "c"):
        assert engine.signal_run(run_id, name, name, principal="ann").step is None
    StepRun.objects.filter(run_id=run_id).update(due_at=timezone.now())
    engine.release_due(LANES, limit=9)
    assert WorkflowRun.objects.get(pk=run_id).state == "SUCCEEDED"
    assert signals_in(row(run_id).output) == {"a", "c"}
    assert row(run_id, "rest").output["payload"] == "b"
    assert RunSignal.objects.count() == 0


@pytest.mark.parametrize("paused", [False, True])
def test_a_signal_that_an_ended_group_has_withdrawn_is_refused(paused: bool) -> None:
    publish("""
name: withdrawn
steps:
  hold: {wait: {all: [{any: [{signal: a}, {signal: b}]}, {signal: c}]}}
""")
    run_id = start("withdrawn")
    assert engine.signal_run(run_id, "a", "a", principal="ann").step == "hold"
    if paused:
        engine.pause_run(run_id, principal="ann")
    with pytest.raises(errors.SignalNotWanted):
        engine.signal_run(run_id, "b", "b", principal="ann")
    kept = engine.signal_run(run_id, "c", "c", principal="ann").step is None
    assert kept is paused
    if paused:
        engine.resume_run(run_id, principal="ann")
    assert (row(run_id).state, RunSignal.objects.count()) == ("SUCCEEDED", 0)
