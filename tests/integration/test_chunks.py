"""Note [Chunks] in `store/chunks`: runs that start together are recorded together; nothing else about them differs."""

import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from tests.definitions import publish
from tests.sample import steps as sample
from tests.workers import until
from workflows import engine, explain, store
from workflows.conf import conf
from workflows.core.machine import RunTimedOut
from workflows.core.states import Lane
from workflows.engine import starting as starting_runs
from workflows.errors import WorkflowsError
from workflows.graphs import graph_of
from workflows.models import Chunk, RunEvent, SlowVersion, StepRun, WorkflowRun
from workflows.starts import chunks as starting
from workflows.store import Report, chunks
from workflows.worker import chunks as working
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)

LANES = [str(lane) for lane in Lane]
RUNS = 40
ECHO = """
name: chunked
input: {type: object}
steps:
  a: {uses: sample.echo, with: {value: "${{ input.n }}"}}
  b:
    uses: sample.echo
    needs: [a]
    with: {value: {was: "${{ steps.a.output.value }}", by: "${{ steps.a.output.key }}"}}
  c: {uses: USES, needs: [b], with: WITH}
output: "${{ steps.b.output.value.was }}"
"""
#: columns of a step that are moments, or that differ from run to run
MOMENTS = {"ready_at", "started_at", "finished_at", "run_id", "worker_id", "hinted_at"}


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    """However slow this machine is, short steps count as short."""
    monkeypatch.setattr(working, "LEAVE_AFTER", 60.0)
    monkeypatch.setattr(working, "LONGEST", 120.0)
    settings.ERIP_CHUNK_RUNS = 100
    conf.cache_clear()
    starting.forget()
    yield
    conf.cache_clear()
    starting.forget()


def define(uses: str = "sample.echo", with_: str = "{value: 1}") -> None:
    publish(ECHO.replace("USES", uses).replace("WITH", with_))


def start(count: int = RUNS, **more: Any) -> list[str]:
    requests = [engine.StartRequest({"n": n, **more}, business_key=f"key-{n}") for n in range(count)]
    return [run.id for run in engine.start_runs("chunked", requests, principal="t")]


def tokens() -> list[str]:
    return [chunks.token(one) for one in Chunk.objects.order_by("id").values_list("pk", flat=True)]


def states() -> dict[str, int]:
    found: dict[str, int] = {}
    for state in WorkflowRun.objects.values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found


def rows(run_id: str) -> list[dict[str, Any]]:
    names = [field.attname for field in StepRun._meta.concrete_fields if field.attname not in MOMENTS | {"pk"}]
    return list(StepRun.objects.filter(run_id=run_id).order_by("step").values(*names))


def work_off(executor: Executor) -> None:
    """What workers and the leader do, until all runs have ended."""

    def over() -> bool:
        engine.release_due(LANES, limit=99)
        ready = StepRun.objects.filter(state="READY").values_list("run_id", flat=True)
        executor.execute([*tokens(), *(str(run_id) for run_id in ready)])
        return not WorkflowRun.objects.filter(finished_at=None).exists()

    until(over, what="all runs ended")


def test_runs_of_a_chunk_have_the_rows_that_runs_of_their_own_have(executor: Executor) -> None:
    define()
    together = start()
    assert Chunk.objects.count() == 2
    assert not StepRun.objects.exists()
    executor.execute(tokens())
    assert states() == {"SUCCEEDED": RUNS}
    assert not Chunk.objects.exists()
    alone = start(1)[0]
    executor.execute([alone])
    for number, run_id in enumerate(together):
        run, other = WorkflowRun.objects.get(pk=run_id), WorkflowRun.objects.get(pk=alone)
        assert run.output == number
        assert {run.error, other.error, run.finished_at is None, run.started_at is None} == {None, False}
        assert (run.workflow, run.lane, run.version_id, run.business_key) == (
            "chunked", other.lane, other.version_id, f"key-{number}",
        )  # fmt: skip
    ours, theirs = rows(together[0]), rows(alone)
    for one, other in zip(ours, theirs, strict=True):
        assert {**one, "input": 0, "output": 0} == {**other, "input": 0, "output": 0}
        assert one["output"]["value"] == other["output"]["value"] or one["step"] == "b"
    steps = list(StepRun.objects.filter(run_id=together[7]).order_by("step"))
    moments = [moment for step in steps for moment in (step.started_at, step.finished_at)]
    assert moments == sorted(moments)
    assert {step.worker_id for step in steps} == {executor.worker_id}


def test_a_few_runs_and_critical_ones_and_other_graphs_are_accepted_one_by_one() -> None:
    define()
    start(starting.FEWEST - 1)
    requests = [engine.StartRequest({"n": 1}, lane="critical")] * RUNS
    engine.start_runs("chunked", requests, principal="t")
    requests[0] = engine.StartRequest({"n": 1}, lane="bulk")
    engine.start_runs("chunked", requests, principal="t")
    assert not Chunk.objects.exists()
    publish("name: chunked\nsteps:\n  a: {wait: {for: 1h}}")
    start()
    assert not Chunk.objects.exists()


def test_the_backlog_of_a_lane_counts_the_runs_of_chunks() -> None:
    define()
    start()
    load = store.lane_loads(LANES, count_to=10_000)["standard"]
    assert load.waiting == RUNS
    assert load.oldest >= 0.0
    assert store.lane_loads(LANES, count_to=7)["standard"].waiting == 7
    assert chunks.stale([("bulk", 1), ("standard", 9)], older_than=-1.0) == tokens()[0]
    assert chunks.stale([("bulk", 1)], older_than=-1.0) is None
    assert len(chunks.rehint_stale(older_than=-1.0, again_after=60.0, limit=99)) == 2
    assert chunks.rehint_stale(older_than=-1.0, again_after=60.0, limit=99) == []


def test_a_step_that_fails_lets_its_run_leave_with_what_it_has_done(executor: Executor) -> None:
    define("sample.flaky", '{times: "${{ input.n % 2 }}"}')
    ids = start()
    executor.execute(tokens())
    assert states() == {"SUCCEEDED": RUNS // 2, "WAITING": RUNS // 2}
    run = ids[1]
    assert [(row["step"], row["state"], row["attempt"], row["failures"]) for row in rows(run)] == [
        ("a", "SUCCEEDED", 1, 0), ("b", "SUCCEEDED", 1, 0), ("c", "WAITING", 1, 1),
    ]  # fmt: skip
    event = RunEvent.objects.get(run_id=run, type="step.attempt_failed")
    assert event.detail["error"]["code"] == "flaky"
    work_off(executor)
    assert states() == {"SUCCEEDED": RUNS}


def test_an_expression_that_fails_ends_its_run_as_it_would_alone(executor: Executor) -> None:
    define("sample.echo", '{value: "${{ input.list[0] }}"}')
    start()
    start(1)
    work_off(executor)
    errors = {WorkflowRun.objects.get(pk=run.pk).error["message"] for run in WorkflowRun.objects.all()}
    assert states() == {"FAILED": RUNS + 1}
    assert len(errors) == 1


def test_an_outcome_that_is_refused_costs_the_others_nothing(executor: Executor) -> None:
    define()
    ids = start()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'no threes' USING ERRCODE = 'data_exception'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON workflows_steprun FOR EACH ROW
            WHEN (NEW.step = 'a' AND NEW.output @> '{"value": 3}') EXECUTE FUNCTION refuse();
            """
        )
    try:
        work_off(executor)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER refuse ON workflows_steprun; DROP FUNCTION refuse()")
    assert states() == {"SUCCEEDED": RUNS - 1, "FAILED": 1}
    assert WorkflowRun.objects.get(pk=ids[3]).error["cause"]["code"] == "output_refused"


def test_a_body_that_takes_long_holds_up_nobody_and_is_seen(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "SLOW_TIMES", 1)
    define("sample.block, timeout: 30s", '{seconds: "${{ input.n == 0 ? 1.5 : 0.0 }}"}')
    ids = start()
    version = WorkflowRun.objects.get(pk=ids[0]).version_id
    worker = threading.Thread(target=executor.execute, args=(tokens(),))
    worker.start()
    seen = StepRun.objects.filter(run_id=ids[0], step="c", state="RUNNING", attempt=1)
    until(seen.exists, what="the step that runs is seen")
    left = StepRun.objects.filter(step="a", state="READY").count()
    assert left + states().get("SUCCEEDED", 0) >= RUNS // 2 - 1
    worker.join(30)
    assert SlowVersion.objects.filter(pk=version).exists()
    work_off(executor)
    assert states() == {"SUCCEEDED": RUNS}
    assert StepRun.objects.exclude(attempt=1).count() == 0
    assert not WorkflowRun.objects.filter(started_at=None).exists()
    starting.forget()
    start()
    assert not Chunk.objects.exists(), "its runs are accepted one by one from now on"


def test_what_else_can_happen_to_a_run_happens_to_its_rows(executor: Executor) -> None:
    define()
    ids = start()
    engine.cancel_run(ids[0], principal="t")
    engine.pause_run(ids[1], principal="t")
    engine.report([Report(ids[2], RunTimedOut())])
    assert [row["state"] for row in rows(ids[0])] == ["CANCELLED"]
    assert [row["state"] for row in rows(ids[1])] == ["PAUSED"]
    assert [row["state"] for row in rows(ids[2])] == ["CANCELLED"]
    executor.execute(tokens())
    assert states() == {"SUCCEEDED": RUNS - 3, "CANCELLED": 1, "PAUSED": 1, "TIMED_OUT": 1}
    engine.resume_run(ids[1], principal="t")
    work_off(executor)
    assert states() == {"SUCCEEDED": RUNS - 2, "CANCELLED": 1, "TIMED_OUT": 1}
    assert WorkflowRun.objects.get(pk=ids[1]).output == 1


def test_a_run_whose_first_expression_fails_ends_and_is_not_paused() -> None:
    publish("name: chunked\nsteps:\n  a: {uses: sample.echo, with: {value: '${{ input.list[0] }}'}}")
    run = start()[0]
    with pytest.raises(WorkflowsError):
        engine.pause_run(run, principal="t")
    assert (states()["FAILED"], states()["PENDING"]) == (1, RUNS - 1)


def test_what_stands_in_the_way_of_one_lost_chunk_keeps_no_other_from_going_on(executor: Executor) -> None:
    define()
    ids = start()
    lost = store.register_worker("lost", "here", 2, LANES)
    assert len(chunks.take([int(one.removeprefix(chunks.TOKEN)) for one in tokens()], worker_id=lost, lanes=LANES)) == 2
    store.stop_worker(lost)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'not this one' USING ERRCODE = 'data_exception'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON workflows_steprun FOR EACH ROW
            WHEN (NEW.run_id = '{ids[0]}') EXECUTE FUNCTION refuse();
            """
        )
    try:
        assert chunks.release_orphans(limit=9, graph_of=graph_of)[0] == 1
        assert chunks.release_orphans(limit=9, graph_of=graph_of)[0] == 0
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER refuse ON workflows_steprun; DROP FUNCTION refuse()")
    assert chunks.release_orphans(limit=9, graph_of=graph_of)[0] == 1
    work_off(executor)
    assert states() == {"SUCCEEDED": RUNS}


def test_a_run_that_is_cancelled_while_its_body_runs_stays_cancelled(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "SLOW", 60.0)
    define("sample.call", "{}")
    ids = start()

    def cancel() -> None:
        done: list[WorkflowsError | None] = []
        thread = threading.Thread(target=lambda: done.append(_cancelled(ids[0])))
        thread.start()
        thread.join(30)
        assert done == [None]

    sample.CALLS[:] = [cancel]
    executor.execute(tokens())
    assert states() == {"SUCCEEDED": RUNS - 1, "CANCELLED": 1}
    assert WorkflowRun.objects.get(pk=ids[0]).state == "CANCELLED"
    assert not Chunk.objects.exists()


def _cancelled(run_id: str) -> WorkflowsError | None:
    try:
        engine.cancel_run(run_id, principal="t")
    except WorkflowsError as error:
        return error
    finally:
        connection.close()
    return None


def test_a_run_in_a_chunk_says_what_it_waits_for() -> None:
    define()
    run = start()[0]
    found = explain.explain_run(run)
    assert [one["step"] for one in found["waits"]] == ["a", "b", "c"]
    assert "worker" in found["waits"][0]["sentence"]


def test_the_chunk_of_a_lost_worker_is_given_up_and_what_it_reports_later_finds_nothing(executor: Executor) -> None:
    define()
    ids = start()
    lost = store.register_worker("lost", "here", 2, LANES)
    chunk_id = Chunk.objects.order_by("id")[0].pk
    (taken,) = chunks.take([chunk_id], worker_id=lost, lanes=LANES)
    assert chunks.take([chunk_id], worker_id=executor.worker_id, lanes=LANES) == []
    assert chunks.release_orphans(limit=9, graph_of=graph_of) == (0, []), "its worker lives"
    store.stop_worker(lost)
    ended, hints = chunks.release_orphans(limit=9, graph_of=graph_of)
    assert (ended, len(hints)) == (1, len(taken.runs))
    done = [
        (taken, chunks.RunDone(run, 99, (chunks.StepDone("a", "{}", "{}", 0.0, 0.0),))) for run in taken.runs
    ]  # fmt: skip
    assert chunks.record(done, worker_id=lost, ended=[chunk_id]) == set()
    with connection.cursor():
        assert chunks.leave({taken.runs[0].id: ()}, chunk_id=chunk_id, worker_id=lost, graph_of=graph_of) == []
    work_off(executor)
    assert states() == {"SUCCEEDED": RUNS}
    assert WorkflowRun.objects.get(pk=ids[0]).output == 0


def test_a_taking_that_a_failover_has_undone_costs_nothing_but_the_work(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commit is not waited for: the standby that takes over may not have it."""
    monkeypatch.setattr(working, "SLOW", 60.0)
    define("sample.call", "{}")
    start()
    first, other = tokens()

    def undo() -> None:
        def change() -> None:
            Chunk.objects.filter(worker_id=executor.worker_id).update(worker_id=None)
            connection.close()

        thread = threading.Thread(target=change)
        thread.start()
        thread.join(30)

    sample.CALLS[:] = [lambda: None] * 3 + [undo]
    executor.execute([first])
    assert tokens() == [first, other], "anybody may take it"
    assert states() == {"PENDING": RUNS}
    work_off(executor)
    assert states() == {"SUCCEEDED": RUNS}
    assert StepRun.objects.filter(state="SUCCEEDED", attempt=1).count() == 3 * RUNS


def test_a_worker_that_ends_lets_go_of_what_it_has_not_begun(executor: Executor) -> None:
    define("sample.call", "{}")
    start()
    second = Executor(store.register_worker("second", "here", 3, LANES), LANES, threads=2)
    sample.CALLS[:] = [second.leave]
    second.execute(tokens())
    second.stop(grace=5)
    assert not Chunk.objects.filter(worker_id=second.worker_id).exists()
    assert states().get("SUCCEEDED", 0) < RUNS
    work_off(executor)
    assert states() == {"SUCCEEDED": RUNS}
    assert StepRun.objects.filter(state="SUCCEEDED").count() == 3 * RUNS


def test_a_setting_turns_chunks_off(settings: Any) -> None:
    settings.ERIP_CHUNK_RUNS = 0
    conf.cache_clear()
    define()
    start()
    assert not Chunk.objects.exists()


def test_a_worker_or_leader_of_a_release_before_keeps_runs_out_of_chunks() -> None:
    old = store.register_worker("old", "here", 4, LANES)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_worker SET level = %s WHERE id = %s", [starting.LEVEL - 1, old])
    define()
    starting.forget()
    start()
    assert not Chunk.objects.exists()


def test_the_same_key_finds_the_same_chunked_runs() -> None:
    define()
    requests = [engine.StartRequest({"n": n}) for n in range(RUNS)]
    first, again = (
        engine.start_runs("chunked", requests, principal="t", idempotency_key="k", request_hash="h") for _ in range(2)
    )
    assert [run.id for run in first] == [run.id for run in again]
    assert WorkflowRun.objects.count() == RUNS
    assert Chunk.objects.count() == 2


def side_by_side(executor: Executor) -> None:
    """Each chunk in a thread of its own."""
    threads = [threading.Thread(target=executor.execute, args=([one],)) for one in tokens()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def test_one_thread_of_a_process_works_through_its_chunk_at_a_time(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow this machine is, no turn is over before its chunk.
    monkeypatch.setattr(working, "TURN", 60.0)
    monkeypatch.setattr(working, "TURN_PATIENCE", 60.0)
    define("sample.call", "{}")
    start()
    order: list[int] = []
    sample.CALLS[:] = [lambda: order.append(threading.get_ident())] * RUNS
    side_by_side(executor)
    assert states() == {"SUCCEEDED": RUNS}
    assert len(order) == RUNS
    assert sum(one != other for one, other in pairwise(order)) == 1


def test_bodies_that_wait_do_so_side_by_side(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "TURN", 0.0)
    monkeypatch.setattr(working, "TURN_PATIENCE", 60.0)
    define("sample.call, timeout: 90s", "{}")
    start()
    met = threading.Barrier(2)
    # After its first run the turn is over, and its next one waits for one of the other chunk.
    sample.CALLS[:] = [lambda: None, lambda: met.wait(60), lambda: met.wait(60)]
    side_by_side(executor)
    assert not met.broken
    work_off(executor)
    assert states() == {"SUCCEEDED": RUNS}


@pytest.mark.parametrize(("long", "stay"), [(1e9, True), (-1.0, False)])
def test_a_slow_machine_lets_no_run_leave_that_would_soon_be_done(
    executor: Executor, monkeypatch: pytest.MonkeyPatch, long: float, stay: bool
) -> None:
    monkeypatch.setattr(working, "LEAVE_AFTER", 0.0)
    monkeypatch.setattr(working, "LONG", long)
    define()
    start()
    executor.execute(tokens())
    assert (states() == {"SUCCEEDED": RUNS}) is stay
    work_off(executor)
    assert states() == {"SUCCEEDED": RUNS}


@pytest.mark.parametrize("key", [None, "k"])
def test_a_large_start_is_worked_on_while_its_last_runs_are_made(
    executor: Executor, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    monkeypatch.setattr(starting_runs, "RUNS_PER_TRANSACTION", RUNS)
    make, there = starting_runs.accepted_run, []

    def noting(*given: Any, **more: Any) -> Any:
        there.append(WorkflowRun.objects.count())
        return make(*given, **more)

    monkeypatch.setattr(starting_runs, "accepted_run", noting)
    define()
    requests = [engine.StartRequest({"n": n}) for n in range(2 * RUNS + 1)]
    started = engine.start_runs("chunked", requests, principal="t", idempotency_key=key, request_hash="h")
    # Under a key all of them are there, or none.
    assert there == [0] * (2 * RUNS + 1) if key else [0] * RUNS + [RUNS] * RUNS + [2 * RUNS]
    assert len({run.id for run in started}) == WorkflowRun.objects.count() == 2 * RUNS + 1
    executor.execute(tokens())
    outputs = dict(WorkflowRun.objects.values_list("id", "output"))
    assert [outputs[UUID(run.id)] for run in started] == list(range(2 * RUNS + 1)), "in the order of the request"


@pytest.mark.parametrize(("at_it", "longest", "stay"), [(0.0, 120.0, True), (9.0, 120.0, False), (0.0, 0.0, False)])
def test_a_machine_that_has_too_much_to_do_lets_no_run_leave(
    executor: Executor, monkeypatch: pytest.MonkeyPatch, at_it: float, longest: float, stay: bool
) -> None:
    """Leaving costs more than staying, so what a thread waits for a processor must not make its runs leave, up to a
    bound."""
    monkeypatch.setattr(working, "TURN", 0.0)
    monkeypatch.setattr(working, "LEAVE_AFTER", 0.0)
    monkeypatch.setattr(working, "LONG", 0.0)
    monkeypatch.setattr(working, "LONGEST", longest)
    monkeypatch.setattr(working.waited.Stopwatch, "at_it", lambda watch: at_it)
    define()
    start()
    executor.execute(tokens())
    assert (states() == {"SUCCEEDED": RUNS}) is stay
    work_off(executor)
    assert states() == {"SUCCEEDED": RUNS}


def test_a_body_that_hangs_does_not_keep_the_turn(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "TURN", 60.0)
    monkeypatch.setattr(working, "TURN_PATIENCE", 60.0)
    define("sample.call, timeout: 90s", "{}")
    start()
    hangs, go_on, hung = threading.Event(), threading.Event(), []
    sample.CALLS[:] = [lambda: (hangs.set(), hung.append(go_on.wait(60)))]
    one, other = tokens()
    first = threading.Thread(target=executor.execute, args=([one],))
    first.start()
    assert hangs.wait(60)
    executor.execute([other])
    go_on.set()
    first.join(60)
    assert hung == [True]
    work_off(executor)
    assert states() == {"SUCCEEDED": RUNS}
