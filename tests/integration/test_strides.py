"""Note [Strides] in `executor`: a worker goes on before its results are recorded, and only the speed shows it."""

import threading

import pytest
from django.db import connections

from tests.definitions import publish
from tests.workers import until
from workflows import engine, queries
from workflows.models import StepRun, WorkflowRun
from workflows.worker import executor

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, short steps count as short."""
    monkeypatch.setattr(executor, "HAND_OVER_AFTER", 60.0)


def chain(*uses: str, with_: str = "{value: 1}") -> str:
    steps = [
        f"  s{n}: {{uses: {use.partition(' ')[0]}, {f'needs: [s{n - 1}], ' if n else ''}"
        f"with: {use.partition(' ')[2] or with_}}}"
        for n, use in enumerate(uses)
    ]
    return "\n".join(["name: chain", "steps:", *steps])


def start() -> str:
    return engine.start_runs("chain", [engine.StartRequest({})], principal="t")[0].id


def states(run: str) -> list[tuple[str, str, int]]:
    return [(step["id"], step["status"], step["attempt"]) for step in queries.run_detail(run)["steps"]]


def test_short_steps_are_recorded_together_each_with_its_own_row_and_times(executor) -> None:
    publish(chain("sample.echo", "sample.echo", "sample.echo"))
    run = start()
    executor.execute([run])
    assert states(run) == [("s0", "SUCCEEDED", 1), ("s1", "SUCCEEDED", 1), ("s2", "SUCCEEDED", 1)]
    # One change for the claim, one for all its results.
    assert WorkflowRun.objects.get(pk=run).seq == 2
    rows = list(StepRun.objects.filter(run=run).order_by("step"))
    moments = [moment for row in rows for moment in (row.started_at, row.finished_at)]
    assert moments == sorted(moments)
    assert {row.worker_id for row in rows} == {executor.worker_id}
    assert rows[1].input == {"value": 1}
    told = [(event["type"], event["step"]) for event in queries.run_events(run) if event["step"]]
    assert told == [(f"step.{what}", step) for step in ("s0", "s1", "s2") for what in ("started", "succeeded")]


@pytest.mark.parametrize("careful", ["sample.block_once", "sample.book"])
def test_a_step_that_may_not_be_repeated_begins_only_after_all_before_it_is_recorded(executor, careful: str) -> None:
    publish(chain("sample.echo", f"{careful} {{seconds: 0}}", "sample.echo"))
    run = start()
    executor.execute([run])
    until(lambda: WorkflowRun.objects.get(pk=run).state in ("SUCCEEDED", "RUNNING"), what="the run went on")
    assert WorkflowRun.objects.get(pk=run).seq > 2
    executor.execute([run])
    assert [state for _, state, _ in states(run)] == ["SUCCEEDED"] * 3


def test_a_slow_step_in_a_stride_is_seen_running_and_what_was_before_it_is_recorded(executor) -> None:
    publish(chain("sample.echo", "sample.block {seconds: 0.5}", "sample.echo"))
    run = start()
    working = threading.Thread(target=lambda: (executor.execute([run]), connections.close_all()))
    working.start()
    until(lambda: states(run)[:2] == [("s0", "SUCCEEDED", 1), ("s1", "RUNNING", 1)], what="the slow step is seen")
    assert StepRun.objects.get(run=run, step="s1").worker_id == executor.worker_id
    working.join()
    until(lambda: WorkflowRun.objects.get(pk=run).state == "SUCCEEDED", what="the run ended")
    assert [attempt for _, _, attempt in states(run)] == [1, 1, 1]


def test_a_run_that_is_cancelled_during_a_stride_keeps_nothing_of_what_came_after(executor) -> None:
    publish(chain("sample.echo", "sample.block {seconds: 0.5}", "sample.echo"))
    run = start()
    working = threading.Thread(target=lambda: (executor.execute([run]), connections.close_all()))
    working.start()
    until(lambda: states(run)[1][1] == "RUNNING", what="the slow step is seen")
    engine.cancel_run(run, principal="ann")
    working.join()
    assert [state for _, state, _ in states(run)] == ["SUCCEEDED", "CANCELLED", "CANCELLED"]
    assert not StepRun.objects.filter(run=run, step="s2").exists()


def test_a_worker_that_stops_in_a_stride_hands_back_the_step_and_keeps_what_was_done(executor) -> None:
    publish(chain("sample.echo", "sample.block {seconds: 3}", "sample.echo"))
    run = start()
    threading.Thread(target=lambda: (executor.execute([run]), connections.close_all()), daemon=True).start()
    until(lambda: executor._running, what="a body runs")
    until(lambda: any(running.claim.step == "s1" for running in executor._running.values()), what="the second runs")
    executor.stop(grace=0)
    assert states(run)[:2] == [("s0", "SUCCEEDED", 1), ("s1", "READY", 1)]


def test_an_output_in_the_middle_of_a_stride_that_postgresql_refuses_fails_that_step(executor) -> None:
    publish(chain("sample.echo", "sample.nul", "sample.echo"))
    run = start()
    executor.execute([run])
    until(
        lambda: (
            not StepRun.objects.filter(run=run, state__in=["READY", "RUNNING"]).exists() or not executor.execute([run])
        ),
        what="settled",
    )
    found = WorkflowRun.objects.get(pk=run)
    assert found.state == "FAILED"
    assert found.error["step"] == "s1"
    assert found.error["cause"]["code"] == "output_refused"
