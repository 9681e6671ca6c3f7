"""Rules with `action: signal`: an event gives a signal to a run."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from tests.definitions import publish
from tests.support.events import accept, consuming, event
from tests.workers import until
from workflows import engine, queries
from workflows.errors import RunAlreadyEnded
from workflows.events import active, letters, links
from workflows.events.models import Block, DeadLetter, TriggeredRun
from workflows.events.triggers import Triggers
from workflows.models import RunEvent, RunSignal, WorkflowRun

pytestmark = pytest.mark.django_db(transaction=True)

WAITS = """
name: respond
input: {type: object}
steps:
  %s
on:
  - {event: acme.evidence, action: signal, signal: evidence, business_key: "${{ event.subject }}"%s}
"""
ONE = "evidence: {wait: {signal: evidence, schema: {type: object, required: [hash]}}}"


@pytest.fixture(autouse=True)
def fresh_rules() -> Iterator[None]:
    active.forget()
    yield
    active.forget()


def waits(steps: str = ONE, more: str = "") -> None:
    publish(WAITS % (steps, more))
    active.forget()


def run(key: str | None = "case-1") -> str:
    return engine.start_runs("respond", [engine.StartRequest({}, key)], principal="test")[0].id


def evidence(subject: str = "case-1", **more: Any) -> dict[str, Any]:
    return event(type="acme.evidence", subject=subject, data=more.pop("data", {"hash": "x"}), **more)


def take(*events: dict[str, Any]) -> None:
    with consuming(Triggers()):
        for one in events:
            accept([one])
        until(lambda: not Block.objects.exists(), seconds=30)


def state(run_id: str) -> str:
    return WorkflowRun.objects.get(pk=run_id).state


def test_an_event_gives_its_signal_to_the_run_of_its_business_key() -> None:
    waits()
    mine, other = run("case-1"), run("case-2")
    take(evidence(data={"hash": "abc"}))
    assert (state(mine), state(other)) == ("SUCCEEDED", "WAITING")
    output = queries.run_detail(mine)["steps"][0]["output"]
    assert output == {"payload": {"hash": "abc"}, "by": "event:acme.evidence", "timed_out": False}
    link = TriggeredRun.objects.get()
    assert (str(link.run_id), link.signalled) == (mine, True)
    # It is not the event that started the run.
    assert links.runs_of(link.event.hex) == [{"run_id": link.run_id, "trigger": "respond: on[0]", "signalled": True}]


def test_a_rule_may_name_the_run_and_make_the_payload() -> None:
    publish(
        "name: respond\ninput: {type: object}\nsteps: {one: {wait: {signal: go}}}\non: {event: acme.go, action: signal,"
        ' signal: go, run: "${{ event.data.run }}", payload: {n: "${{ event.data.n }}"}}'
    )
    active.forget()
    mine = run(None)
    take(event(type="acme.go", data={"run": mine, "n": 7}), event(type="acme.go", data={"run": "no run", "n": 7}))
    assert queries.run_detail(mine)["steps"][0]["output"]["payload"] == {"n": 7}
    letter = DeadLetter.objects.get()
    assert (letter.code, letter.message) == ("rule_failed", "respond: on: run: gave no id of a run")


def test_a_signal_that_comes_early_is_kept_and_given_to_exactly_one_step() -> None:
    waits("first: {wait: {for: 1h}}\n  one: {needs: [first], wait: {signal: evidence}}")
    mine = run()
    one = evidence()
    take(one)
    assert RunSignal.objects.get(run=mine).sent_by == "event:acme.evidence"
    take(evidence())
    assert DeadLetter.objects.get().code == "signal_not_wanted"


def test_an_event_that_is_sent_or_tried_again_gives_its_signal_once() -> None:
    waits("a: {wait: {signal: evidence}}\n  b: {wait: {signal: evidence}}")
    mine = run()
    one = evidence()
    take(one, one)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM events_identity")  # as after ERIP_EVENT_DEDUPE_DAYS
    take(one)
    assert RunEvent.objects.filter(run=mine, type="step.signalled").count() == 1
    assert not RunSignal.objects.exists()
    assert not DeadLetter.objects.exists()
    take(evidence())
    assert state(mine) == "SUCCEEDED"


def test_without_a_run_the_event_is_a_dead_letter_that_can_be_tried_again() -> None:
    waits()
    take(evidence())
    letter = DeadLetter.objects.get()
    assert (letter.code, letter.target) == ("unknown_run", "respond")
    mine = run()
    letters.retry(letter.pk, by="test")
    take()
    assert state(mine) == "SUCCEEDED"


@pytest.mark.parametrize("which", ["none", "ended", "not wanted"])
def test_or_it_is_ignored_if_the_rule_says_so(which: str) -> None:
    waits(more=", if_none: ignore")
    if which != "none":
        engine.cancel_run(run(), principal="test")
    take(evidence())
    assert not DeadLetter.objects.exists()


def test_it_never_guesses_among_several_runs_and_checks_the_payload() -> None:
    waits(more=", if_none: ignore")
    first, second = run(), run()
    take(evidence())
    assert DeadLetter.objects.get().code == "ambiguous_run"
    assert first in DeadLetter.objects.get().message
    engine.cancel_run(second, principal="test")
    take(evidence(data={}))
    letter = DeadLetter.objects.order_by("id").last()
    assert letter is not None
    assert letter.code == "invalid_input"
    assert "payload.hash" in letter.message
    assert state(first) == "WAITING"


def test_a_run_that_the_same_round_starts_may_be_given_its_signal() -> None:
    publish(WAITS % (ONE, '}\n  - {event: acme.found, business_key: "${{ event.subject }}"'))
    active.forget()
    with consuming(Triggers()):
        accept([event(type="acme.found", subject="case-9"), evidence("case-9")])
        until(lambda: not Block.objects.exists(), seconds=30)
    assert not DeadLetter.objects.exists()
    assert WorkflowRun.objects.get().state == "SUCCEEDED"


def test_an_event_is_a_part_of_several_that_a_step_waits_for() -> None:
    waits(
        "either: {wait: {any: [{signal: evidence}, {for: 1h}]}}\n  both: {wait: {all: [{signal: evidence}, "
        "{signal: other}]}}"
    )
    mine = run()
    take(evidence(), evidence())
    steps = {step["id"]: step for step in queries.run_detail(mine)["steps"]}
    assert steps["either"]["status"] == "SUCCEEDED"
    assert steps["both"]["status"] == "WAITING"
    engine.signal_run(mine, "other", None, principal="test")
    assert state(mine) == "SUCCEEDED"


def test_events_raced_against_cancellations_are_each_given_once_or_refused() -> None:
    waits("one: {wait: {signal: evidence}}")
    runs = {f"case-{n}": run(f"case-{n}") for n in range(60)}
    barrier = threading.Barrier(2)

    def cancel() -> None:
        try:
            barrier.wait()
            for run_id in runs.values():
                with contextlib.suppress(RunAlreadyEnded):
                    engine.cancel_run(run_id, principal="test")
        finally:
            connection.close()

    thread = threading.Thread(target=cancel)
    thread.start()
    with consuming(Triggers()):
        barrier.wait()
        for key in reversed(runs):
            accept([evidence(key)])
        until(lambda: not Block.objects.exists(), seconds=60)
    thread.join(60)
    given = set(RunEvent.objects.filter(type="step.signalled").values_list("run_id", flat=True))
    states = {str(one.pk): one.state for one in WorkflowRun.objects.all()}
    assert {run_id for run_id, ended in states.items() if ended == "SUCCEEDED"} == {str(one) for one in given}
    assert len(given) + DeadLetter.objects.count() == len(runs)
    assert TriggeredRun.objects.count() == len(given)
    assert not RunSignal.objects.exists()
