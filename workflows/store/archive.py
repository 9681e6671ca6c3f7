"""Moves runs that ended long ago out of the hot tables, by months. See `workflows.models.archive`."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Model

from erip.foundation.db.connections import unhurried
from workflows.models import ArchivedRun, ArchivedRunEvent, ArchivedStepRun, RunEvent, StepRun, WorkflowRun

#: (hot table, its archive), in the order in which rows must go
_MOVES: tuple[tuple[type[Model], type[Model], str], ...] = (
    (StepRun, ArchivedStepRun, "run_id"),
    (RunEvent, ArchivedRunEvent, "run_id"),
    (WorkflowRun, ArchivedRun, "id"),
)


def archive_runs(*, older_than: float, limit: int) -> int:
    """Move up to `limit` runs that ended more than `older_than` seconds ago, oldest first. Returns how many.

    Runs with a step that can still change stay: an UNKNOWN step may be resolved, and one that is not essential may run.
    """
    with transaction.atomic(), unhurried(), connection.cursor() as cursor:
        # What ended long ago was created before that, so the search ends at an id: the rest of the table is not read.
        newest = _first_id(datetime.fromtimestamp(time.time() - older_than, UTC))
        cursor.execute(
            """
            SELECT id FROM workflows_workflowrun r
            WHERE id < %s AND finished_at < now() - make_interval(secs => %s)
              AND NOT EXISTS (SELECT 1 FROM workflows_steprun s WHERE s.run_id = r.id
                              AND s.state IN ('PENDING', 'READY', 'RUNNING', 'WAITING', 'PAUSED', 'UNKNOWN'))
            ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
            """,
            [newest, older_than, limit],
        )
        ids: list[UUID] = [row[0] for row in cursor.fetchall()]
        if not ids:
            return 0
        for month in sorted({_month_of(id_) for id_ in ids}):
            _make_partitions(month)
        # Nobody takes signals that were kept for a run that has ended; the run's events still record them.
        cursor.execute("DELETE FROM workflows_runsignal WHERE run_id = ANY(%s::uuid[])", [ids])
        cursor.execute("DELETE FROM workflows_runpause WHERE run_id = ANY(%s::uuid[])", [ids])
        cursor.execute("DELETE FROM workflows_stepbeat WHERE run_id = ANY(%s::uuid[])", [ids])
        for hot, archive, key in _MOVES:
            columns = ", ".join(f'"{field.column}"' for field in hot._meta.concrete_fields)
            cursor.execute(
                f"""
                WITH gone AS (DELETE FROM {hot._meta.db_table} WHERE {key} = ANY(%s::uuid[]) RETURNING {columns})
                INSERT INTO {archive._meta.db_table} ({columns}) SELECT {columns} FROM gone
                """,  # noqa: S608  (names of our own tables)
                [ids],
            )
        return len(ids)


def count_archivable(*, older_than: float) -> int:
    """How many runs ended more than `older_than` seconds ago and are still in the hot tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM workflows_workflowrun WHERE finished_at < now() - make_interval(secs => %s)",
            [older_than],
        )
        count: int = cursor.fetchone()[0]
        return count


def _nothing_held(_: datetime, __: datetime) -> bool:
    return False


def drop_archive(*, before: datetime, held: Callable[[datetime, datetime], bool] = _nothing_held) -> list[str]:
    """Drop the partitions of months that ended before this moment. Returns the months, as 2026_11.

    held: whether something of the runs that began in a span must stay; then its month does.

    Raises DatabaseError where the database's owner has promised to keep them longer (`promise`).
    """
    dropped: list[str] = []
    with transaction.atomic(), unhurried(), connection.cursor() as cursor:
        months: set[str] = set()
        for _, archive, _ in _MOVES:
            table = archive._meta.db_table
            cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [table])
            months |= {
                partition.rpartition(".")[2].strip('"').removeprefix(f"{table}_") for (partition,) in cursor.fetchall()
            }
        for name in sorted(months):
            year, _, month = name.partition("_")
            if not (year.isdigit() and month.isdigit()):
                continue  # the partition for ids without a time
            first = datetime(int(year), int(month), 1, tzinfo=UTC)
            if _following(first) <= before and not held(first, _following(first)):
                cursor.execute("SELECT workflows_drop_archive_month(%s)", [first.date()])
                dropped.append(name)
        # Which run was the retry of which, once both are gone: all runs of the months before this one are.
        earliest = _first_id(datetime(before.year, before.month, 1, tzinfo=UTC))
        cursor.execute("DELETE FROM workflows_runretry WHERE retry_of < %s AND retried_as < %s", [earliest, earliest])
    return dropped


def promise(cursor: Any, months: int | None) -> None:
    """As the database's owner: from now on the application can drop no month of the archive that is younger than this.

    None: none at all. A day less than what the leader keeps, as clocks differ.
    """
    kept = "NULL::int" if months is None else str(31 * months - 1)
    cursor.execute(
        f"CREATE OR REPLACE FUNCTION workflows_archive_floor() RETURNS int LANGUAGE sql STABLE AS 'SELECT {kept}'"
    )


def _make_partitions(month: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT workflows_make_archive_month(%s)", [month.date()])


def _month_of(run_id: UUID) -> datetime:
    """The month in which a run was created, by its UUIDv7."""
    created = datetime.fromtimestamp((run_id.int >> 80) / 1000, UTC)
    return datetime(created.year, created.month, 1, tzinfo=UTC)


def _following(month: datetime) -> datetime:
    return datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)


def _first_id(moment: datetime) -> str:
    """The smallest UUIDv7 of this millisecond."""
    return str(UUID(int=round(moment.timestamp() * 1000) << 80))
