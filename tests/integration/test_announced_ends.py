"""Whatever ends a run, the callers that wait for its end are notified."""

from collections.abc import Callable

import pytest
from django.db import connection, connections

from tests.definitions import one_step, publish
from tests.support.listening import heard, listening
from workflows import engine, store
from workflows.core.machine import RunTimedOut
from workflows.models import WorkflowRun
from workflows.store import RUN_ENDED_CHANNEL, Report
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)

SKIPPED = "name: skipped\nsteps:\n  only: {uses: sample.echo, with: {value: 1}, if: 'input.no == 1'}\n"
BROKEN = "name: broken\nsteps:\n  only: {uses: sample.echo, with: {value: 1}, if: 'input.absent'}\n"
NOTHING = "name: nothing\nsteps:\n  each: {uses: sample.echo, foreach: '${{ input.items }}', with: {value: 1}}\n"
ITEMS = NOTHING.replace("nothing", "items")


def start(source: str, input: dict | None = None, *, many: int = 1) -> list[str]:
    request = engine.StartRequest(input or {})
    return [run.id for run in engine.start_runs(publish(source), [request] * many, principal="test", notify=True)]


def executed(executor: Executor, source: str, input: dict | None = None) -> list[str]:
    run_ids = start(source, input)
    executor.execute(run_ids)
    return run_ids


def cancelled(_: Executor) -> list[str]:
    (run_id,) = start(one_step("sample.echo"))
    engine.cancel_run(run_id, principal="test")
    return [run_id]


def timed_out(_: Executor) -> list[str]:
    (run_id,) = start(one_step("sample.echo"))
    engine.report([Report(run_id, RunTimedOut())])
    return [run_id]


def resolved(_: Executor) -> list[str]:
    (run_id,) = start(one_step("sample.block_once"))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_steprun SET state = 'UNKNOWN', started_at = now() WHERE run_id = %s", [run_id])
    engine.resolve_step(run_id, "only", outcome="failed", principal="test")
    return [run_id]


WAYS: dict[str, Callable[[Executor], list[str]]] = {
    "all steps are skipped in the start": lambda _: start(SKIPPED, {"no": 0}),
    "an expression fails in the start": lambda _: start(BROKEN),
    "a fan-out without items, in the start": lambda _: start(NOTHING, {"items": []}),
    "many that end in their start": lambda _: start(SKIPPED, {"no": 0}, many=3),
    "its step succeeded": lambda executor: executed(executor, one_step("sample.echo", "{value: 1}")),
    "its step failed": lambda executor: executed(executor, one_step("sample.boom")),
    "its items ended": lambda executor: executed(executor, ITEMS, {"items": [1, 2]}),
    "cancelled": cancelled,
    "timed out": timed_out,
    "resolved by a person": resolved,
}


@pytest.mark.parametrize("way", WAYS)
def test_every_end_is_announced(way: str, executor: Executor) -> None:
    with listening(RUN_ENDED_CHANNEL) as raw:
        run_ids = WAYS[way](executor)

        assert all(run.finished_at for run in WorkflowRun.objects.filter(pk__in=run_ids))
        announced: list[str] = []
        while missing := sorted(set(run_ids) - set(announced)):
            found = heard(raw, seconds=5)
            assert found, f"not announced: {missing}"
            announced += found
    assert sorted(announced) == sorted(run_ids)
    connections.close_all()


def test_an_end_that_nobody_waits_for_is_not_announced(executor: Executor) -> None:
    with listening(RUN_ENDED_CHANNEL) as raw:
        name = publish(SKIPPED)
        engine.start_runs(name, [engine.StartRequest({"no": 0})], principal="test")
        engine.start_runs(name, [engine.StartRequest({"no": 0})] * 2, principal="test")

        assert heard(raw, seconds=0.3) == []
    assert store.lane_loads(["standard"], count_to=1)["standard"].waiting == 0
