"""Note [Claims that may be lost] in `store/claims`: what a worker does whose claim PostgreSQL has forgotten."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, connections, transaction

from tests.definitions import publish
from tests.sample import steps as sample
from tests.support.recordings import begin_counting, end_counting, recorded
from tests.workers import until
from workflows import engine, store
from workflows.core.machine import StepFailed, StepSucceeded
from workflows.core.states import Lane
from workflows.graphs import graph_of, known_graph
from workflows.models import StepRun, WorkflowRun
from workflows.store import Report
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)

LANES = [str(lane) for lane in Lane]
DEFINITION = """
name: forgotten
steps:
  a: {uses: sample.call, timeout: 90s}
  b: {uses: sample.echo, needs: [a], with: {value: 1}}
output: "${{ steps.b.output.value }}"
"""


@pytest.fixture
def other(transactional_db: None) -> Iterator[Executor]:
    made = Executor(store.register_worker("other", "here", 2, LANES), LANES, threads=2)
    yield made
    made.stop(grace=5)


@pytest.fixture
def recordings(transactional_db: None) -> Iterator[None]:
    begin_counting()
    yield
    end_counting()


def elsewhere(*calls: Callable[[], object]) -> None:
    """Call them on another connection than this thread's."""

    def work() -> None:
        try:
            for call in calls:
                call()
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)


def forget(run_id: str) -> None:
    """As a crash of PostgreSQL would that had not written the claim's commit to its disk."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH steps AS (
                UPDATE workflows_steprun SET state = 'READY', attempt = 0, worker_id = NULL, started_at = NULL
                WHERE run_id = %s
            ) UPDATE workflows_workflowrun SET state = 'PENDING', seq = seq - 1, started_at = NULL WHERE id = %s
            """,
            [run_id, run_id],
        )


def start() -> str:
    publish(DEFINITION)
    return engine.start_runs("forgotten", [engine.StartRequest({})], principal="t")[0].id


def ended_well(run_id: str, executor: Executor) -> None:
    def over() -> bool:
        engine.release_due(LANES, limit=99)
        executor.execute([run_id])
        return WorkflowRun.objects.filter(pk=run_id).exclude(finished_at=None).exists()

    until(over, what="the run ended")
    run = WorkflowRun.objects.get(pk=run_id)
    assert (run.state, run.output) == ("SUCCEEDED", 1)
    assert recorded() == (2, 2)


def test_a_report_on_a_forgotten_claim_finds_a_step_that_nobody_has(executor: Executor, recordings: None) -> None:
    run_id = start()
    sample.CALLS[:] = [lambda: elsewhere(lambda: forget(run_id))]
    executor.execute([run_id])
    assert StepRun.objects.get(run_id=run_id, step="a").state == "READY"
    ended_well(run_id, executor)


def test_a_report_on_a_forgotten_claim_comes_after_that_of_who_has_claimed_it_since(
    executor: Executor, other: Executor, recordings: None
) -> None:
    run_id = start()
    sample.CALLS[:] = [lambda: elsewhere(lambda: forget(run_id), lambda: other.execute([run_id]))]
    executor.execute([run_id])
    ended_well(run_id, executor)


@pytest.mark.parametrize("fails", [False, True])
def test_a_report_on_a_forgotten_claim_comes_before_that_of_who_has_claimed_it_since(
    executor: Executor, recordings: None, fails: bool
) -> None:
    run_id = start()
    hand = store.register_worker("hand", "here", 3, LANES)
    claimed: list[store.Claim] = []

    def claim() -> None:
        claimed.extend(store.claim([run_id], worker_id=hand, lanes=LANES, known_graph=known_graph))

    sample.CALLS[:] = [lambda: elsewhere(lambda: forget(run_id), claim)]
    executor.execute([run_id])
    (late,) = claimed
    assert (late.step, late.attempt) == ("a", 1)
    fault = {"code": "late", "message": "late"}
    happening = StepFailed("a", 1, fault, True, 0.0) if fails else StepSucceeded("a", 1, {"value": None})
    applied = store.apply([Report(run_id, happening)], graph_of=graph_of, reporter=hand)
    assert len(applied.discarded) == 1
    ended_well(run_id, executor)


@pytest.mark.parametrize("pooled", [False, True])
def test_behind_a_pooler_every_commit_is_waited_for(executor: Executor, settings: Any, pooled: bool) -> None:
    """There a crash between two transactions breaks no session, so nobody would notice what it has forgotten."""
    run_id = start()
    graph_of(WorkflowRun.objects.get(pk=run_id).version_id)
    settings.ERIP_DB_PREPARE = not pooled
    seen: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        (claim,) = store.claim([run_id], worker_id=executor.worker_id, lanes=LANES, known_graph=known_graph)
        report = Report(run_id, StepSucceeded(claim.step, claim.attempt, {"value": None}))
        store.apply([report], graph_of=graph_of, reporter=executor.worker_id)
    assert sum("synchronous_commit = off" in sql for sql in seen) == (0 if pooled else 2)


def test_a_claim_that_may_be_lost_is_in_no_transaction_of_others(executor: Executor) -> None:
    run_id = start()
    with transaction.atomic(), pytest.raises(RuntimeError, match="transaction"):
        store.claim([run_id], worker_id=executor.worker_id, lanes=LANES, known_graph=known_graph)
