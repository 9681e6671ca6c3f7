"""The engine on a real database, with an executor in this process."""

import threading
import uuid

import psycopg2
import pytest
from django.db import connection, connections, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from erip.foundation.db import prepared
from tests.definitions import CHAIN, DIAMOND, one_step, publish
from tests.sample.models import Effect
from tests.workers import until
from workflows import engine, errors, queries, store
from workflows.core import machine
from workflows.graphs import graph_of
from workflows.models import RunEvent, StepRun, WorkflowRun, WorkflowVersion
from workflows.store import Report, claims

pytestmark = pytest.mark.django_db(transaction=True)


def steps(run: WorkflowRun) -> dict[str, str]:
    return {step["id"]: step["status"] for step in queries.run_detail(str(run.pk))["steps"]}


def test_a_chain_passes_outputs_on_and_ends_with_its_output(run_to_end) -> None:
    publish(CHAIN)
    run = run_to_end("chain", {"times": 3})
    assert run.state == "SUCCEEDED"
    assert steps(run) == dict.fromkeys("abcd", "SUCCEEDED")
    detail = queries.run_detail(str(run.pk))
    assert run.output["value"] == detail["steps"][2]["output"]["value"]
    assert run.output["key"] == f"{run.pk}:d:"


def test_a_join_fires_once_with_both_branches(run_to_end) -> None:
    publish(DIAMOND)
    run = run_to_end("diamond")
    assert run.output == ["l", "r"]
    assert StepRun.objects.filter(run=run, step="join").get().attempt == 1


def test_a_flaky_step_is_tried_again_with_the_same_key_and_its_failures_are_told(run_to_end) -> None:
    publish(one_step("sample.flaky", "{times: 2}"))
    run = run_to_end("one")
    assert run.state == "SUCCEEDED"
    assert run.output["attempt"] == 3
    assert list(RunEvent.objects.filter(run=run).values_list("type", "attempt")) == [
        ("step.attempt_failed", 1),
        ("step.attempt_failed", 2),
    ]


def test_a_step_that_fails_for_good_fails_the_run_with_its_reason(run_to_end) -> None:
    publish(one_step("sample.flaky", "{times: 9}"))
    run = run_to_end("one")
    assert run.state == "FAILED"
    assert run.error["step"] == "only"
    assert run.error["cause"]["message"] == "attempt 3 fails"
    assert StepRun.objects.get(run=run).failures == 3


def test_a_permanent_error_is_not_tried_again(run_to_end) -> None:
    publish(one_step("sample.flaky", "{times: 9, permanent: true}"))
    run = run_to_end("one")
    assert run.error["cause"]["code"] == "hopeless"
    assert StepRun.objects.get(run=run).attempt == 1


def test_input_that_does_not_fit_the_step_fails_it_with_every_fault(run_to_end) -> None:
    publish(one_step("sample.flaky", '{times: "${{ input.times }}"}'))
    run = run_to_end("one", {"times": "many"})
    assert run.state == "FAILED"
    assert run.error["cause"]["code"] == "invalid_input"
    assert "times" in run.error["cause"]["message"]


def test_an_output_that_postgresql_refuses_fails_only_its_own_run(executor) -> None:
    publish(one_step("sample.nul", name="bad"))
    publish(CHAIN)
    bad = engine.start_runs("bad", [engine.StartRequest({})], principal="t")[0]
    good = engine.start_runs("chain", [engine.StartRequest({"times": 1})] * 5, principal="t")
    executor.execute([bad.id, *[run.id for run in good]])
    assert WorkflowRun.objects.get(pk=bad.id).error["cause"]["code"] == "output_refused"
    assert set(WorkflowRun.objects.exclude(pk=bad.id).values_list("state", flat=True)) == {"SUCCEEDED"}


def test_a_step_without_essential_value_runs_after_the_outcome_and_cannot_change_it(run_to_end) -> None:
    publish("""
name: notifies
lane: critical
steps:
  work:   {uses: sample.echo, with: {value: 1}}
  notify: {uses: sample.boom, needs: [work], with: {value: 1}, essential: false}
""")
    run = run_to_end("notifies")
    assert run.state == "SUCCEEDED"
    late = StepRun.objects.get(run=run, step="notify")
    assert late.state == "FAILED"
    assert late.lane == "standard", "off the critical path, also in its queue"
    assert late.started_at > run.finished_at


def test_a_step_that_is_skipped_skips_those_that_need_it_unless_their_own_if_says_otherwise(run_to_end) -> None:
    publish("""
name: skips
steps:
  a: {uses: sample.echo, if: "input.go", with: {value: 1}}
  b: {uses: sample.echo, needs: [a], with: {value: 2}}
  c: {uses: sample.echo, needs: [a], if: "steps.a.status == 'SKIPPED'", with: {value: 3}}
""")
    assert steps(run_to_end("skips", {"go": False})) == {"a": "SKIPPED", "b": "SKIPPED", "c": "SUCCEEDED"}
    assert steps(run_to_end("skips", {"go": True})) == {"a": "SUCCEEDED", "b": "SUCCEEDED", "c": "SKIPPED"}


def test_an_expression_that_leads_nowhere_fails_the_step_and_says_so(run_to_end) -> None:
    publish(one_step("sample.echo", '{value: "${{ input.nothing }}"}'))
    run = run_to_end("one")
    assert run.state == "FAILED"
    assert run.error["cause"]["code"] == "expression_error"
    assert "nothing" in run.error["cause"]["message"]


def test_a_body_that_blocks_past_its_timeout_is_given_up_and_its_late_result_discarded(run_to_end) -> None:
    publish(one_step("sample.block", "{seconds: 1.0}", ", timeout: 200ms, retry: {max_attempts: 1}"))
    run = run_to_end("one")
    assert run.state == "FAILED"
    assert run.error["cause"]["code"] == "step_timed_out"


@pytest.mark.usefixtures("no_chunks")
def test_async_steps_share_one_loop(executor) -> None:
    publish(one_step("sample.rest", "{seconds: 0.3}"))
    runs = engine.start_runs("one", [engine.StartRequest({})] * 200, principal="t")
    executor.execute([run.id for run in runs])
    from tests.workers import until

    until(lambda: WorkflowRun.objects.filter(state="SUCCEEDED").count() == 200)
    spread = WorkflowRun.objects.order_by("finished_at").values_list("finished_at", flat=True)
    started = WorkflowRun.objects.order_by("started_at").values_list("started_at", flat=True)
    assert (spread.last() - started.first()).total_seconds() < 200 * 0.3 / 4, "they waited one after another"


def test_a_slow_body_does_not_hold_its_batch_back(executor) -> None:
    publish(one_step("sample.block_once", "{seconds: 2}", name="slow"))
    publish(CHAIN)
    slow = engine.start_runs("slow", [engine.StartRequest({})], principal="t")[0]
    quick = engine.start_runs("chain", [engine.StartRequest({"times": 1})] * 10, principal="t")
    executor.execute([slow.id, *[run.id for run in quick]])
    from tests.workers import until

    until(lambda: not WorkflowRun.objects.exclude(state="SUCCEEDED").exists())
    end = WorkflowRun.objects.get(pk=slow.id).finished_at
    assert all(run.finished_at < end for run in WorkflowRun.objects.exclude(pk=slow.id))


def test_a_late_result_of_a_former_owner_is_discarded(transactional_db) -> None:
    publish(one_step("sample.echo"))
    run = engine.start_runs("one", [engine.StartRequest({})], principal="t")[0]
    first, second = (store.register_worker(name, "h", 1, ["standard"]) for name in ("first", "second"))
    with transaction.atomic():
        old = store.claim([run.id], worker_id=first, lanes=["standard"])[0]
    engine.report([Report(run.id, machine.StepLost("only", old.attempt, 5))])
    with transaction.atomic():
        new = store.claim([run.id], worker_id=second, lanes=["standard"])[0]
    assert new.attempt == old.attempt + 1
    late = engine.report([Report(run.id, machine.StepSucceeded("only", old.attempt, {"value": "old"}))])
    assert len(late.discarded) == 1
    engine.report([Report(run.id, machine.StepSucceeded("only", new.attempt, {"value": "new"}))])
    assert WorkflowRun.objects.get(pk=run.id).output == {"value": "new"}


def test_a_lost_step_that_is_not_idempotent_waits_for_a_person(transactional_db) -> None:
    publish(one_step("sample.block_once"))
    run = engine.start_runs("one", [engine.StartRequest({})], principal="t")[0]
    worker = store.register_worker("w", "h", 1, ["standard"])
    with transaction.atomic():
        claim = store.claim([run.id], worker_id=worker, lanes=["standard"])[0]
    engine.report([Report(run.id, machine.StepLost("only", claim.attempt, 5))])
    assert queries.run_detail(run.id)["status"] == "WAITING"
    assert queries.run_detail(run.id)["steps"][0]["status"] == "UNKNOWN"
    with pytest.raises(errors.StepNotUnknown):
        engine.resolve_step(run.id, "nothing", outcome="failed", principal="ann")
    wrong = {"attempt": "many", "seen": True, "value": {"any": "thing"}}
    with pytest.raises(errors.InvalidInput) as refused:
        engine.resolve_step(run.id, "only", outcome="succeeded", output=wrong, principal="ann")
    assert [fault.path for fault in refused.value.faults] == ["output.attempt", "output.seen"]
    engine.resolve_step(run.id, "only", outcome="succeeded", output={"value": 7}, principal="ann", note="I looked")
    detail = queries.run_detail(run.id)
    assert detail["status"] == "SUCCEEDED"
    assert detail["output"] == {"value": 7, "key": "", "attempt": 0}
    assert "step.resolved" in [event["type"] for event in queries.run_events(run.id)]


def test_a_transactional_step_writes_with_its_checkpoint_or_not_at_all(run_to_end, executor) -> None:
    publish(one_step("sample.book"))
    run = run_to_end("one")
    assert run.state == "SUCCEEDED"
    assert Effect.objects.filter(key=f"{run.pk}:only:").count() == 1
    # Cancelled while it runs: its claim no longer counts, so its writes are undone.
    publish(one_step("sample.book", "{seconds: 1}", name="slow"))
    slow = engine.start_runs("slow", [engine.StartRequest({})], principal="t")[0]
    executor.take_in_background([slow.id])
    from tests.workers import until

    until(lambda: StepRun.objects.filter(run_id=slow.id, state="RUNNING").exists())
    engine.cancel_run(slow.id, principal="ann", reason="wrong one")
    until(lambda: not executor._running)
    assert Effect.objects.filter(key=f"{slow.id}:only:").count() == 0
    assert WorkflowRun.objects.get(pk=slow.id).state == "CANCELLED"


def test_cancelling_twice_says_that_the_run_has_ended(transactional_db) -> None:
    publish(one_step("sample.echo"))
    run = engine.start_runs("one", [engine.StartRequest({})], principal="t")[0]
    engine.cancel_run(run.id, principal="ann")
    with pytest.raises(errors.RunAlreadyEnded):
        engine.cancel_run(run.id, principal="ann")
    with pytest.raises(errors.UnknownRun):
        engine.cancel_run(str(uuid.uuid4()), principal="ann")


def test_publishing_the_same_content_again_is_no_new_version(db) -> None:
    first = engine.publish("chain", CHAIN, "yaml", author="ann")
    again = engine.publish("chain", CHAIN + "\n# a comment\n", "yaml", author="bob")
    changed = engine.publish(
        "chain", CHAIN.replace("steps.d.output }}", "steps.d.output.value }}"), "yaml", author="bob"
    )
    assert (first.number, again.number, changed.number) == (1, 1, 2)
    assert (first.created, again.created, changed.created) == (True, False, True)
    assert again.hash == first.hash


def test_a_version_cannot_be_changed_even_by_raw_sql(transactional_db) -> None:
    from django.db import InternalError

    publish(CHAIN)
    with pytest.raises(InternalError, match="immutable"), connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_workflowversion SET source = 'x'")
    assert WorkflowVersion.objects.get().source == CHAIN


def test_fifty_racers_with_one_idempotency_key_start_one_run(transactional_db) -> None:
    publish(one_step("sample.echo"))
    barrier = threading.Barrier(50)
    ids: list[str] = []

    def race() -> None:
        barrier.wait()
        try:
            started = engine.start_runs(
                "one", [engine.StartRequest({})], principal="t", idempotency_key="k", request_hash="h"
            )
            ids.append(started[0].id)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=race) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 50
    assert len(set(ids)) == 1
    assert WorkflowRun.objects.count() == 1
    with pytest.raises(errors.IdempotencyMismatch):
        engine.start_runs("one", [engine.StartRequest({})], principal="t", idempotency_key="k", request_hash="other")


def test_two_workers_that_race_for_the_same_runs_never_own_the_same_step(transactional_db) -> None:
    publish(DIAMOND)
    runs = [r.id for r in engine.start_runs("diamond", [engine.StartRequest({})] * 100, principal="t")]
    workers = [store.register_worker(f"w{n}", "h", 1, ["standard"]) for n in range(8)]
    barrier = threading.Barrier(len(workers))
    claimed: list[tuple[str, str]] = []

    def race(worker: int) -> None:
        barrier.wait()
        try:
            with transaction.atomic():
                claimed.extend((c.run_id, c.step) for c in store.claim(runs, worker_id=worker, lanes=["standard"]))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=race, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 100


def test_branches_that_end_at_the_same_moment_fire_the_join_once(transactional_db) -> None:
    publish(DIAMOND)
    worker = store.register_worker("w", "h", 1, ["standard"])
    for _ in range(10):
        run = engine.start_runs("diamond", [engine.StartRequest({})], principal="t")[0].id
        with transaction.atomic():
            top = store.claim([run], worker_id=worker, lanes=["standard"])[0]
        engine.report([Report(run, machine.StepSucceeded("top", top.attempt, {"value": 1}))])
        with transaction.atomic():
            branches = store.claim([run], worker_id=worker, lanes=["standard"])
        barrier = threading.Barrier(len(branches))
        became_ready: list[tuple[str, str]] = []

        def finish(claim: store.Claim, barrier: threading.Barrier, out: list[tuple[str, str]], run: str) -> None:
            barrier.wait()
            try:
                out.extend(
                    engine.report(
                        [Report(run, machine.StepSucceeded(claim.step, claim.attempt, {"value": claim.step}))]
                    ).hints
                )
            finally:
                connections.close_all()

        threads = [threading.Thread(target=finish, args=(c, barrier, became_ready, run)) for c in branches]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert became_ready == [("standard", run)]
        assert StepRun.objects.get(run_id=run, step="join").state == "READY"


def test_the_database_refuses_nonsense(transactional_db) -> None:
    from django.db import IntegrityError

    publish(one_step("sample.echo"))
    run = engine.start_runs("one", [engine.StartRequest({})], principal="t")[0].id
    for nonsense in (
        "UPDATE workflows_workflowrun SET state = 'SUCCEEDED'",
        "UPDATE workflows_workflowrun SET state = 'DONE'",
        "UPDATE workflows_workflowrun SET lane = 'urgent'",
        "UPDATE workflows_steprun SET state = 'RUNNING'",
        "UPDATE workflows_steprun SET ready_at = NULL",
        "UPDATE workflows_steprun SET item = -2",
        "INSERT INTO workflows_steprun SELECT * FROM workflows_steprun",
    ):
        with pytest.raises(IntegrityError), connection.cursor() as cursor:
            cursor.execute(nonsense)
    assert queries.run_detail(run)["status"] == "PENDING"


@pytest.mark.usefixtures("no_chunks")
def test_the_claim_uses_its_indexes(transactional_db) -> None:
    publish(one_step("sample.echo"))
    engine.start_runs("one", [engine.StartRequest({})] * 2000, principal="t")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_steprun SET state = 'SUCCEEDED', finished_at = now() WHERE random() < 0.99")
        cursor.execute("ANALYZE workflows_steprun")
        cursor.execute("""EXPLAIN SELECT run_id FROM workflows_steprun
            WHERE state = 'READY' AND lane = 'standard' AND ready_at < now() ORDER BY ready_at LIMIT 50""")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "step_ready" in plan
    assert "Seq Scan" not in plan


@pytest.mark.usefixtures("no_chunks")
def test_a_claim_that_was_planned_on_empty_tables_stays_on_its_indexes_as_they_fill(transactional_db) -> None:
    worker = store.register_worker("w", "here", 1, ["standard"])
    for _ in range(10):  # PostgreSQL makes the generic plan at the sixth execution
        store.claim([str(uuid.uuid4())], worker_id=worker, lanes=["standard"])
    publish(one_step("sample.echo"))
    runs = engine.start_runs("one", [engine.StartRequest({})] * 2000, principal="t")
    with connection.cursor() as cursor:
        name, *_ = prepared._translated(claims._CLAIM.format(skip="", started_by="", told="", known=""))
        cursor.execute(f"EXPLAIN EXECUTE {name} (%s, '{{standard}}', 1, %s)", [f"{{{runs[0].id}}}", worker])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "workflows_steprun_pkey" in plan
    assert "step_ready" not in plan
    assert "Seq Scan" not in plan


def test_a_claim_whose_graph_cannot_be_loaded_takes_no_other_of_its_batch_with_it(executor) -> None:
    # Given three claims of one batch, and a thread whose connection the server has ended
    names = ("first", "second", "third")
    runs = [
        engine.start_runs(publish(one_step("sample.echo", name=name)), [engine.StartRequest({})], principal="t")[0].id
        for name in names
    ]
    graph_of.cache_clear()
    end_the_connection_of_this_thread()

    # When the thread works through them
    executor.execute(runs)

    # Then the first is tried again later, and the others have ended
    told = [queries.run_detail(run) for run in runs]
    assert [run["steps"][0]["status"] for run in told] == ["WAITING", "SUCCEEDED", "SUCCEEDED"]
    assert RunEvent.objects.get(run=runs[0]).detail["error"]["code"] == "step_not_begun"

    until(lambda: engine.release_due(["standard"], limit=9).steps, what="the retry is due")
    executor.execute(runs)
    assert WorkflowRun.objects.get(pk=runs[0]).state == "SUCCEEDED"


def end_the_connection_of_this_thread() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    with psycopg2.connect(**connection.get_connection_params()) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        assert cursor.fetchone() == (True,)
    other.close()


def test_what_every_run_goes_through_is_planned_once_for_each_connection(executor) -> None:
    publish(one_step("sample.echo"))
    for _ in range(10):  # by default, PostgreSQL looks for a cheaper plan from the sixth execution on
        run = engine.start_runs("one", [engine.StartRequest({})], principal="t", notify=True)[0].id
        store.claim([], worker_id=executor.worker_id, lanes=["standard"])
        queries.run_detail(run)
    with connection.cursor() as cursor:
        cursor.execute("SELECT left(statement, 60), generic_plans, custom_plans FROM pg_prepared_statements")
        prepared_here = cursor.fetchall()
    assert len(prepared_here) == 4, "the first start, the later ones, the claim, the run as it is read"
    assert [told for told in prepared_here if told[2]] == []


def test_runs_in_pages_are_complete_and_newest_first(transactional_db) -> None:
    publish(one_step("sample.echo"))
    started = [r.id for r in engine.start_runs("one", [engine.StartRequest({})] * 25, principal="t")]
    seen: list[str] = []
    cursor = None
    while True:
        page = queries.list_runs(limit=10, cursor=cursor)
        seen += [item["id"] for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(started)
    assert seen == sorted(started, reverse=True)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_a_column_of_any_text_reaches_postgresql_as_it_is(column: list[str | None]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::text[]", [store.to_array(column)])
        assert cursor.fetchone()[0] == column


def test_what_a_worker_knows_is_not_believed_once_somebody_else_has_changed_the_run(transactional_db) -> None:
    publish(DIAMOND)
    run = engine.start_runs("diamond", [engine.StartRequest({})], principal="t")[0].id
    worker = store.register_worker("w", "h", 1, ["standard"])
    known: dict[str, store.Known] = {}
    top = store.claim([run], worker_id=worker, lanes=["standard"], known=known)[0]
    done = [Report(run, machine.StepSucceeded("top", top.attempt, {"value": 1}))]
    assert run in known
    engine.cancel_run(run, principal="ann")
    applied = store.apply(done, graph_of=graph_of, reporter=worker, go_on=True, known=known)
    assert applied.discarded == tuple(done)
    assert applied.claims == ()
    assert run not in known
    assert queries.run_detail(run)["status"] == "CANCELLED"


def test_a_failed_attempt_keeps_its_traceback_and_its_lines_and_the_runs_error_stays_short(run_to_end) -> None:
    publish(one_step("sample.grumble", "{value: 7}"))
    run = run_to_end("one")

    trace = RunEvent.objects.get(run=run, type="step.attempt_failed").detail["trace"]
    assert "in grumble" in trace["traceback"]
    assert trace["lines"][0].endswith("sample: about to fail value=7")
    assert "trace" not in str(run.error)
    assert "trace" not in str(StepRun.objects.get(run=run).error)


def test_a_step_that_is_stuck_says_where(run_to_end) -> None:
    publish(one_step("sample.block", "{seconds: 3}", ", retry: {max_attempts: 1}, timeout: 0.2"))
    run = run_to_end("one")

    trace = RunEvent.objects.get(run=run, type="step.attempt_failed").detail["trace"]
    assert run.error["cause"]["code"] == "step_timed_out"
    assert "threading.Event().wait(data.seconds)" in trace["traceback"]
