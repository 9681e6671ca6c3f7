"""Waits on a real database: timers, signals that come in time, early, late, too often, and at the same time."""

import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from erip.access.scopes import Scope
from erip.foundation.faults import Fault
from tests.definitions import CHAIN, publish
from tests.integration.conftest import LANES
from tests.support.api import Api, key
from tests.workers import until
from workflows import engine, errors, queries, store
from workflows.core import definition, kinds, machine
from workflows.core.kinds import Wait
from workflows.engine import duties
from workflows.graphs import graph_of
from workflows.models import ArchivedRun, RunSignal, StepRun, Worker, WorkflowRun, WorkflowVersion
from workflows.store import Known, Report, checkpoints

pytestmark = pytest.mark.django_db(transaction=True)


def waiting(wait: str, more: str = "") -> str:
    """Publish `before` → `hold` (the wait) → `after`."""
    return publish(waiting_text(wait, more))


def waiting_text(wait: str, more: str = "", name: str = "waits") -> str:
    return f"""
name: {name}
steps:
  before: {{uses: sample.echo, with: {{value: 1}}}}
  hold: {{needs: [before], wait: {wait}}}
  after: {{uses: sample.echo, needs: [hold], with: {{value: "${{{{ steps.hold.output }}}}"}}}}
{more}
output: ${{{{ steps.after.output.value }}}}
"""


def start(workflow: str = "waits") -> str:
    return engine.start_runs(workflow, [engine.StartRequest({})], principal="t")[0].id


class Hand:
    """A worker whose claims and reports a test makes itself."""

    def __init__(self) -> None:
        self.id = store.register_worker("hand", "here", 1, LANES)
        self.known: dict[str, Known] = {}

    def work(self, run_id: str) -> store.Applied:
        """Run once everything that is ready."""
        claims = store.claim([run_id], worker_id=self.id, lanes=LANES, known=self.known)
        reports = [Report(run_id, machine.StepSucceeded(one.step, one.attempt, {"value": one.input})) for one in claims]
        return store.apply(reports, graph_of=graph_of, reporter=self.id, known=self.known)


@pytest.fixture
def hand() -> Hand:
    return Hand()


def states(run_id: str) -> dict[str, str]:
    return {step["id"]: step["status"] for step in queries.run_detail(run_id)["steps"]}


def row(run_id: str, step: str = "hold") -> StepRun:
    return StepRun.objects.get(run_id=run_id, step=step)


def due(run_id: str) -> store.Applied:
    return engine.report([Report(run_id, machine.StepDue("hold"))])


def test_the_example_of_the_docs_runs(run_to_end: Any, executor: Any) -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "definitions.md").read_text()
    found = re.search(r"tests/integration/test_waits.py runs it -->\n```yaml\n(.*?)```", text, re.DOTALL)
    assert found
    publish(found[1])
    request = engine.StartRequest({"board_meets_at": "2026-01-01T12:00:00Z"})
    run_id = engine.start_runs("report-breach", [request], principal="t")[0].id
    executor.execute([run_id])
    assert engine.signal_run(run_id, "board.decision", {"report": True}, principal="ann").step == "decision"

    def ended() -> bool:
        engine.release_due(LANES, limit=9)
        executor.execute([run_id])
        return bool(WorkflowRun.objects.get(pk=run_id).finished_at)

    until(ended, what="the run has ended")
    assert WorkflowRun.objects.get(pk=run_id).output == "decided"


# --- timers


@pytest.mark.parametrize("wait", ["{for: 50ms}", '{until: "2026-01-01T00:00:00Z"}', '{for: "${{ 1 }}ms"}'])
def test_a_run_goes_on_after_its_wait(wait: str, run_to_end: Any) -> None:
    waiting(wait)
    run = run_to_end("waits")
    assert (run.state, run.output) == ("SUCCEEDED", {})
    assert row(run.pk).attempt == 0, "no worker had it"
    told = [event["type"] for event in queries.run_events(str(run.pk)) if event["step"] == "hold"]
    assert told[-1] == "step.succeeded"


def test_a_run_that_only_waits_ends(run_to_end: Any) -> None:
    publish("name: nap\nsteps: {hold: {wait: {for: 50ms}}}")
    assert queries.run_detail(start("nap"))["status"] == "WAITING", "from its start"
    assert run_to_end("nap").state == "SUCCEEDED"


def test_when_a_wait_is_due_the_databases_clock_says_and_no_workers(hand: Hand, monkeypatch: Any) -> None:
    waiting("{for: 1h}")
    run_id = start()

    class Slow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2000, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(checkpoints, "datetime", Slow)
    hand.work(run_id)
    assert hand.known, "the worker went on with what it knew"
    due_at = row(run_id).due_at
    assert due_at is not None
    assert abs(due_at - timezone.now() - timedelta(hours=1)) < timedelta(minutes=1)
    assert (row(run_id).state, row(run_id).started_at is not None) == ("WAITING", True)


def test_a_run_that_waits_says_for_what() -> None:
    waiting("{signal: ok}")
    run_id = start()
    Hand().work(run_id)
    run = queries.run_detail(run_id)
    assert run["status"] == "WAITING"
    told = {step["id"]: step["waits_for"] for step in run["steps"]}
    assert told == {
        "before": None,
        "hold": 'waits for the signal "ok", without a time limit',
        "after": "waits for hold to end",
    }
    assert [step["kind"] for step in run["steps"]] == ["task", "wait", "task"]


def test_a_waiting_run_can_be_cancelled(hand: Hand) -> None:
    waiting("{signal: ok}")
    run_id = start()
    hand.work(run_id)
    engine.cancel_run(run_id, principal="ann")
    assert states(run_id) == {"before": "SUCCEEDED", "hold": "CANCELLED", "after": "CANCELLED"}
    assert due(run_id).discarded
    with pytest.raises(errors.RunAlreadyEnded):
        engine.signal_run(run_id, "ok", None, principal="ann")


def naps(count: int, lane: str) -> list[str]:
    """Runs that wait, all of them due by now."""
    publish("name: nap\nsteps: {hold: {wait: {for: 1h}}, after: {uses: sample.echo, needs: [hold], with: {value: 1}}}")
    requests = [engine.StartRequest({}, lane=lane) for _ in range(count)]
    ids = [run.id for run in engine.start_runs("nap", requests, principal="t", many=True)]
    StepRun.objects.filter(run_id__in=ids).update(due_at=timezone.now() - timedelta(seconds=1))
    return ids


def test_what_is_due_is_released_by_lane_and_in_each_the_longest_due_first() -> None:
    bulk, critical = naps(3, "bulk"), naps(3, "critical")
    StepRun.objects.filter(run_id=bulk[2]).update(due_at=timezone.now() - timedelta(hours=1))
    StepRun.objects.filter(run_id=critical[0]).update(due_at=timezone.now() + timedelta(hours=1))
    order = []
    while released := engine.release_due(LANES, limit=1).hints:
        order += [run_id for _, run_id in released]
    assert order == [critical[1], critical[2], bulk[2], bulk[0], bulk[1]]
    assert row(critical[0]).state == "WAITING"


def test_many_processes_release_what_is_due_and_each_step_goes_on_once() -> None:
    runs = naps(120, "standard")
    barrier, found, lock = threading.Barrier(4), [], threading.Lock()

    def release() -> None:
        barrier.wait(timeout=20)
        for _ in range(60):
            released = engine.release_due(LANES, limit=10)
            with lock:
                found.extend(run_id for _, run_id in released.hints)
        connections.close_all()

    threads = [threading.Thread(target=release) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(found) == sorted(runs), "each once"
    assert StepRun.objects.filter(step="hold", state="SUCCEEDED").count() == 120


def test_a_run_that_this_release_cannot_read_holds_nobody_back(monkeypatch: Any) -> None:
    unreadable, readable = naps(1, "critical")[0], naps(2, "standard")
    StepRun.objects.filter(run_id=unreadable).update(due_at=timezone.now() - timedelta(days=1))
    strange = WorkflowRun.objects.get(pk=unreadable)
    publish(waiting_text("{for: 2h}", name="nap"))  # another version, so that the test can tell the two apart
    other = WorkflowVersion.objects.exclude(pk=strange.version_id).get(definition__name="nap")
    with connection.cursor() as cursor:
        # What a run runs cannot be changed, but for this test.
        cursor.execute("ALTER TABLE workflows_workflowrun DISABLE TRIGGER USER")
        WorkflowRun.objects.filter(pk=unreadable).update(version_id=other.pk)
        cursor.execute("ALTER TABLE workflows_workflowrun ENABLE TRIGGER USER")

    def graph_of_this_release(version_id: int) -> Any:
        if version_id == other.pk:
            raise definition.DefinitionInvalid([Fault("steps.x.teleport", "unknown key")])
        return graph_of(version_id)

    monkeypatch.setattr(duties, "graph_of", graph_of_this_release)
    released = engine.release_due(LANES, limit=10)
    assert sorted(run_id for _, run_id in released.hints) == sorted(readable)
    assert row(unreadable).state == "WAITING"
    assert row(unreadable).due_at > timezone.now(), "or it would be the first at each look"
    assert engine.release_due(LANES, limit=10) == engine.Released()
    overdue = [Report(unreadable, machine.RunTimedOut()), Report(readable[0], machine.RunTimedOut())]
    assert [report.run_id for report in engine.report(overdue).unreadable] == [unreadable]
    assert [WorkflowRun.objects.get(pk=id_).state for id_ in (unreadable, readable[0])] == ["WAITING", "TIMED_OUT"]


# --- signals


def test_a_signal_is_given_to_the_step_that_waits_and_its_payload_goes_on(hand: Hand) -> None:
    waiting("{signal: ok}")
    run_id = start()
    hand.work(run_id)
    assert engine.signal_run(run_id, "ok", {"n": 1}, principal="ann") == engine.Signalled("hold")
    assert row(run_id).output == {"payload": {"n": 1}, "by": "ann", "timed_out": False}
    hand.work(run_id)
    assert queries.run_detail(run_id)["output"]["value"]["payload"] == {"n": 1}
    with pytest.raises(errors.RunAlreadyEnded):
        engine.signal_run(run_id, "ok", {"n": 2}, principal="ann")
    event = next(event for event in queries.run_events(run_id) if event["type"] == "step.signalled")
    assert (event["step"], event["detail"]["by"]) == ("hold", "ann")


@pytest.mark.parametrize("payload", [None, False, 0, "", "null", [], {"a": None}])
def test_a_signal_that_comes_early_is_kept_and_taken_as_the_step_begins_to_wait(hand: Hand, payload: Any) -> None:
    waiting("{signal: ok, timeout: 1h}")
    run_id = start()
    assert engine.signal_run(run_id, "ok", payload, principal="ann") == engine.Signalled(None)
    assert RunSignal.objects.count() == 1
    hand.work(run_id)
    assert (row(run_id).state, row(run_id).output["payload"]) == ("SUCCEEDED", payload)
    assert states(run_id)["after"] == "READY"
    assert RunSignal.objects.count() == 0
    told = [event["type"] for event in queries.run_events(run_id)]
    assert "run.signal_kept" in told
    assert "step.signalled" in told


def test_a_worker_that_goes_on_by_itself_takes_what_was_kept(run_to_end: Any, executor: Any) -> None:
    publish("""
name: strides
steps:
  a: {uses: sample.echo, with: {value: 1}}
  b: {uses: sample.echo, needs: [a], with: {value: 2}}
  one: {needs: [b], wait: {signal: ok}}
  two: {needs: [one], wait: {signal: ok}}
  c: {uses: sample.echo, needs: [two], with: {value: "${{ [steps.one.output.payload, steps.two.output.payload] }}"}}
output: ${{ steps.c.output.value }}
""")
    run_id = start("strides")
    for number in (1, 2):
        assert engine.signal_run(run_id, "ok", number, principal="ann").step is None
    with pytest.raises(errors.SignalNotWanted):
        engine.signal_run(run_id, "ok", 3, principal="ann")
    executor.execute([run_id])
    run = WorkflowRun.objects.get(pk=run_id)
    assert (run.state, run.output) == ("SUCCEEDED", [1, 2]), "in the order in which they came"


@pytest.mark.parametrize(
    ("on_timeout", "state", "output"),
    [("fail", "FAILED", None), ("continue", "SUCCEEDED", {"payload": None, "by": None, "timed_out": True})],
)
def test_a_signal_that_does_not_come_in_time(hand: Hand, on_timeout: str, state: str, output: Any) -> None:
    waiting(f"{{signal: ok, timeout: 1h, on_timeout: {on_timeout}}}")
    run_id = start()
    hand.work(run_id)
    assert not due(run_id).discarded
    assert (row(run_id).state, row(run_id).output) == (state, output)
    with pytest.raises(errors.RunAlreadyEnded if state == "FAILED" else errors.SignalNotWanted):
        engine.signal_run(run_id, "ok", {}, principal="ann")
    assert due(run_id).discarded


def test_many_signals_at_once_are_each_given_once_and_no_step_takes_two() -> None:
    waits = "\n".join(f"  w{n}: {{wait: {{signal: go}}}}" for n in range(6))
    publish(f"name: race\nsteps:\n{waits}")
    run_id = start("race")
    barrier, given, refused, lock = threading.Barrier(12), [], [], threading.Lock()

    def send(number: int) -> None:
        barrier.wait(timeout=20)
        try:
            sent = engine.signal_run(run_id, "go", number, principal="ann")
            with lock:
                given.append((sent.step, number))
        except (errors.SignalNotWanted, errors.RunAlreadyEnded):
            with lock:
                refused.append(number)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert (len(given), len(refused)) == (6, 6)
    taken = dict(given)
    assert set(taken) == {f"w{n}" for n in range(6)}
    assert {s.step: s.output["payload"] for s in StepRun.objects.filter(run_id=run_id)} == taken
    assert WorkflowRun.objects.get(pk=run_id).state == "SUCCEEDED"
    assert RunSignal.objects.count() == 0


def test_signals_timeouts_and_cancellations_at_once_leave_one_end_and_each_sender_has_the_truth() -> None:
    publish(waiting_text("{signal: ok, timeout: 1h, on_timeout: continue}", name="raced"))
    runs = [start("raced") for _ in range(45)]
    hand = Hand()
    for run_id in runs:
        hand.work(run_id)
    StepRun.objects.filter(run_id__in=runs, step="hold").update(due_at=timezone.now() - timedelta(seconds=1))
    barrier, told, lock = threading.Barrier(3), {}, threading.Lock()

    def send() -> None:
        barrier.wait(timeout=20)
        for number, run_id in enumerate(runs):
            try:
                answer = engine.signal_run(run_id, "ok", number, principal="ann").step
            except (errors.SignalNotWanted, errors.RunAlreadyEnded):
                answer = "refused"
            with lock:
                told[run_id] = answer
        connections.close_all()

    def release() -> None:
        barrier.wait(timeout=20)
        while engine.release_due(LANES, limit=3).steps:
            pass
        connections.close_all()

    def cancel() -> None:
        barrier.wait(timeout=20)
        for run_id in reversed(runs[::3]):
            engine.cancel_run(run_id, principal="bob")
        connections.close_all()

    threads = [threading.Thread(target=target) for target in (send, release, cancel)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    ends = set()
    for number, run_id in enumerate(runs):
        held = row(run_id)
        ends.add("cancelled" if held.state == "CANCELLED" else "timed out" if held.output["timed_out"] else "given")
        if told[run_id] == "hold":
            assert (held.state, held.output["payload"], held.output["timed_out"]) == ("SUCCEEDED", number, False)
        else:
            assert told[run_id] == "refused"
            assert held.state == "CANCELLED" or held.output["timed_out"]
    assert len(ends) > 1, "nothing raced"
    assert RunSignal.objects.count() == 0


@pytest.mark.parametrize("turn", range(8))
def test_a_signal_that_meets_the_step_before_its_wait_is_neither_lost_nor_given_twice(turn: int) -> None:
    """The report that makes the step wait, its due time and the signal, all at the same time."""
    waiting("{signal: ok, timeout: 1h, on_timeout: continue}")
    run_id = start()
    hand = Hand()
    claims = store.claim([run_id], worker_id=hand.id, lanes=LANES, known=hand.known)
    barrier, sent = threading.Barrier(2), []

    def report() -> None:
        barrier.wait(timeout=20)
        happening = machine.StepSucceeded("before", claims[0].attempt, {"value": 1})
        store.apply([Report(run_id, happening)], graph_of=graph_of, reporter=hand.id, known=hand.known)
        connections.close_all()

    def send() -> None:
        barrier.wait(timeout=20)
        sent.append(engine.signal_run(run_id, "ok", turn, principal="ann"))
        connections.close_all()

    threads = [threading.Thread(target=report), threading.Thread(target=send)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(sent) == 1
    assert row(run_id).output == {"payload": turn, "by": "ann", "timed_out": False}
    assert RunSignal.objects.count() == 0
    assert due(run_id).discarded


def test_what_was_kept_for_a_run_does_not_keep_it_from_the_archive() -> None:
    waiting("{signal: ok}")
    run_id = start()
    engine.signal_run(run_id, "ok", 1, principal="ann")
    engine.cancel_run(run_id, principal="ann")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_workflowrun SET finished_at = now() - interval '1 day'")
    assert store.archive_runs(older_than=0, limit=10) == 1
    assert (ArchivedRun.objects.count(), RunSignal.objects.count()) == (1, 0)
    with pytest.raises(errors.RunAlreadyEnded):
        engine.signal_run(run_id, "ok", 1, principal="ann")


# --- two releases side by side


def test_what_a_living_worker_of_an_earlier_release_cannot_read_is_not_published(api: Api) -> None:
    old, new = (store.register_worker(name, "here", 1, LANES) for name in ("old", "new"))
    Worker.objects.filter(pk=old).update(level=1)
    assert Worker.objects.get(pk=new).level == kinds.level() >= Wait.level
    answer = api.send("PUT", "/workflows/waits", waiting_text("{for: 1h}").encode(), Content_Type="application/yaml")
    assert (answer.status_code, answer.json()["code"]) == (409, "not-yet-readable")
    assert "cannot read this definition: worker old." in answer.json()["detail"]
    assert answer.headers["Retry-After"] == "10"
    assert not WorkflowVersion.objects.filter(definition__name="waits").exists()
    publish(CHAIN)  # it runs what it can read as before
    store.stop_worker(old)
    waiting("{for: 1h}")


# --- over HTTP


@pytest.fixture
def api() -> Api:
    return Api(key(Scope.AUTHOR))


def test_a_signal_is_sent_by_a_post(api: Api, hand: Hand) -> None:
    waiting("{signal: board.approved, schema: {type: object, required: [by], properties: {by: {type: string}}}}")
    run_id = start()
    path = f"/runs/{run_id}/signals/board.approved"
    refused = api.post(path, {"payload": {"by": 5}})
    assert refused.status_code == 422
    assert [fault["path"] for fault in refused.json()["faults"]] == ["payload.by"]
    assert [fault["path"] for fault in api.post(path).json()["faults"]] == ["payload"]
    kept = api.post(path, {"payload": {"by": "the board"}}, Idempotency_Key="k1")
    assert (kept.status_code, kept.json()) == (200, {"id": run_id, "status": "kept", "step": None, "run": None})
    again = api.post(path, {"payload": {"by": "the board"}}, Idempotency_Key="k1")
    assert (again.status_code, again.json()) == (200, {"id": run_id, "status": "kept", "step": None, "run": None})
    assert RunSignal.objects.count() == 1
    second = api.post(path, {"payload": {"by": "another"}})
    assert (second.status_code, second.json()["code"]) == (409, "signal-not-wanted")
    hand.work(run_id)
    assert row(run_id).output["payload"] == {"by": "the board"}


def test_what_nobody_waits_for_is_refused_by_name(api: Api) -> None:
    waiting("{signal: ok}")
    run_id = start()
    answer = api.post(f"/runs/{run_id}/signals/okay")
    assert answer.status_code == 422
    assert answer.json()["faults"][0] == {
        "path": "name",
        "message": 'no step of waits waits for the signal "okay": it waits for ok',
    }
    assert api.post("/runs/01900000-0000-7000-8000-000000000000/signals/ok").status_code == 404
    assert api.post(f"/runs/{run_id}/signals/NOT A NAME").status_code == 404
    assert api.post(f"/runs/{run_id}/signals/ok", {"payloads": 1}).status_code == 422
    assert Api(key(Scope.VIEWER)).post(f"/runs/{run_id}/signals/ok").status_code == 403


def test_a_run_of_waits_is_read_over_http(api: Api, hand: Hand) -> None:
    waiting("{signal: ok, timeout: 1h}")
    run_id = start()
    hand.work(run_id)
    step = api.get(f"/runs/{run_id}").json()["steps"][1]
    assert (step["kind"], step["uses"], step["status"]) == ("wait", None, "WAITING")
    assert step["waits_for"].startswith('waits for the signal "ok", until ')
    assert step["due_at"] is not None
    assert step["input"]["signal"] == "ok"
