"""The archive: finished runs leave the hot tables and are read as before."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection

from tests.definitions import CHAIN, one_step, publish
from workflows import engine, errors, queries, store
from workflows.conf import conf
from workflows.leader.archive import RUNS_AT_A_TIME, archivist
from workflows.models import ArchivedRun, ArchivedRunEvent, ArchivedStepRun, RunEvent, StepRun, WorkflowRun
from workflows.store import RunFilter

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO = datetime(2025, 12, 31, 23, 59, tzinfo=UTC)


def age(run_id: str, created: datetime) -> str:
    """Move the run to that time, its id included. Returns the new id."""
    fresh = UUID(run_id).int
    aged = str(UUID(int=round(created.timestamp() * 1000) << 80 | fresh & (1 << 80) - 1))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SET CONSTRAINTS ALL DEFERRED;
            UPDATE workflows_runevent SET run_id = %(new)s WHERE run_id = %(old)s;
            UPDATE workflows_workflowrun
            SET id = %(new)s, created_at = %(at)s, finished_at = finished_at - (created_at - %(at)s)
            WHERE id = %(old)s;
            UPDATE workflows_steprun SET run_id = %(new)s WHERE run_id = %(old)s
            """,
            {"new": aged, "old": run_id, "at": created},
        )
    return aged


def ended(run_to_end, workflow: str = "chain", created: datetime = LONG_AGO, **input: object) -> str:
    run = run_to_end(workflow, {"times": 1, **input}, business_key="INC-1")
    return age(str(run.pk), created)


def test_a_run_that_ended_long_ago_moves_with_all_its_rows_and_reads_as_before(run_to_end) -> None:
    publish(one_step("sample.flaky", "{times: 1}"))
    run = ended(run_to_end, "one")
    before = queries.run_detail(run), queries.run_events(run)
    assert store.archive_runs(older_than=86_400.0, limit=10) == 1
    assert (WorkflowRun.objects.count(), StepRun.objects.count(), RunEvent.objects.count()) == (0, 0, 0)
    assert (ArchivedRun.objects.count(), ArchivedStepRun.objects.count(), ArchivedRunEvent.objects.count()) == (1, 1, 1)
    assert (queries.run_detail(run), queries.run_events(run)) == before
    assert queries.run_finished(run)


def test_a_run_lands_in_the_partition_of_its_month(run_to_end) -> None:
    publish(CHAIN)
    ended(run_to_end, created=LONG_AGO)
    ended(run_to_end, created=LONG_AGO + timedelta(minutes=1))
    assert store.archive_runs(older_than=86_400.0, limit=10) == 2
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text, count(*) FROM workflows_archivedsteprun GROUP BY 1 ORDER BY 1")
        assert cursor.fetchall() == [("workflows_archivedsteprun_2025_12", 4), ("workflows_archivedsteprun_2026_01", 4)]


def test_what_is_young_or_goes_on_or_waits_for_a_person_stays(run_to_end, executor) -> None:
    publish(CHAIN)
    young = str(run_to_end("chain", {"times": 1}).pk)
    going_on = age(engine.start_runs("chain", [engine.StartRequest({"times": 1})], principal="t")[0].id, LONG_AGO)
    unclear = ended(run_to_end)
    StepRun.objects.filter(run=unclear, step="d").update(state="UNKNOWN")
    assert store.archive_runs(older_than=86_400.0, limit=10) == 0
    assert {str(run.pk) for run in WorkflowRun.objects.all()} == {young, going_on, unclear}


def test_lists_merge_both_and_page_through_them_without_a_gap(run_to_end) -> None:
    publish(CHAIN)
    runs = [ended(run_to_end, created=LONG_AGO + timedelta(days=day)) for day in range(5)]
    store.archive_runs(older_than=86_400.0, limit=3)
    runs.append(str(run_to_end("chain", {"times": 1}, business_key="INC-1").pk))
    seen: list[str] = []
    cursor = None
    while True:
        page = queries.list_runs(RunFilter(workflow="chain", business_key="INC-1"), cursor=cursor, limit=2)
        seen += [run["id"] for run in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == sorted(runs, reverse=True)


def test_operations_on_an_archived_run_answer_as_for_any_ended_one(run_to_end) -> None:
    publish(CHAIN)
    run = ended(run_to_end)
    store.archive_runs(older_than=86_400.0, limit=10)
    with pytest.raises(errors.RunAlreadyEnded):
        engine.cancel_run(run, principal="ann")
    with pytest.raises(errors.StepNotUnknown):
        engine.resolve_step(run, "a", outcome="retry", principal="ann")
    again = engine.retry_run(run, principal="ann")
    assert WorkflowRun.objects.get(pk=again.id).input == {"times": 1}


def test_an_idempotency_key_leads_to_its_run_in_the_archive(run_to_end, executor) -> None:
    publish(CHAIN)
    request = engine.StartRequest({"times": 1})
    first = engine.start_runs("chain", [request], principal="t", idempotency_key="k", request_hash="h")[0].id
    executor.execute([first])
    WorkflowRun.objects.filter(pk=first).update(finished_at=LONG_AGO)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_idempotencykey SET run_id = %s", [aged := age(first, LONG_AGO)])
    assert store.archive_runs(older_than=86_400.0, limit=10) == 1
    same = engine.start_runs("chain", [request], principal="t", idempotency_key="k", request_hash="h")[0]
    assert (same.id, same.existing) == (aged, True)


def test_months_are_dropped_only_when_somebody_wants_it(run_to_end, settings) -> None:
    publish(CHAIN)
    ended(run_to_end)
    store.archive_runs(older_than=86_400.0, limit=10)
    assert conf().keep_archive_months is None
    archivist()()
    assert ArchivedRun.objects.count() == 1
    assert store.drop_archive(before=datetime(2025, 12, 31, tzinfo=UTC)) == []
    assert store.drop_archive(before=datetime(2026, 1, 1, tzinfo=UTC)) == ["2025_12"]
    assert ArchivedRun.objects.count() == ArchivedStepRun.objects.count() == 0


def test_the_duty_goes_on_at_once_while_there_is_more_to_move(run_to_end, monkeypatch, settings) -> None:
    publish(CHAIN)
    for _ in range(3):
        ended(run_to_end)
    monkeypatch.setattr("workflows.leader.archive.RUNS_AT_A_TIME", 2)
    duty = archivist()
    duty()
    duty()
    assert ArchivedRun.objects.count() == 3
    ended(run_to_end)
    duty()
    assert ArchivedRun.objects.count() == 3, "it rests after it found nothing more"
    assert RUNS_AT_A_TIME >= 1


def test_the_command_tells_and_moves(run_to_end, capsys) -> None:
    publish(CHAIN)
    ended(run_to_end)
    call_command("archive_runs", "--older-than", "1d", "--dry-run")
    call_command("archive_runs", "--older-than", "1d")
    assert capsys.readouterr().out.splitlines() == ["1 runs would be archived", "1 runs archived"]


def test_the_archive_has_the_columns_of_the_hot_tables(transactional_db) -> None:
    with connection.cursor() as cursor:
        for hot, archive in ((WorkflowRun, ArchivedRun), (StepRun, ArchivedStepRun), (RunEvent, ArchivedRunEvent)):
            columns = []
            for model in (hot, archive):
                cursor.execute(
                    "SELECT attname, atttypid, attnotnull FROM pg_attribute "
                    "WHERE attrelid = %s::regclass AND attnum > 0",
                    [model._meta.db_table],
                )
                columns.append(set(cursor.fetchall()))
            assert columns[0] == columns[1]
            assert {field.column for field in hot._meta.concrete_fields} == {
                field.column for field in archive._meta.concrete_fields
            }
