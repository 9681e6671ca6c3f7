"""Batches: the runs that one operation is done to, and what became of each. And which run is the retry of which.

Note [Batches]
A batch takes its runs when it is accepted: one statement writes a row for each run that the filter matches, so the
number that is answered is the number that is worked off, whatever happens to the runs afterwards. It is worked off in
portions. A portion is one transaction: it locks the next rows without an outcome (passing over those that another
process holds), does the operation to their runs, and writes the outcomes. So a process that is killed loses its portion
as a whole, nobody does a run twice, and any number of processes may work on one batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from erip.foundation.db import prepared
from workflows.store.values import to_array, to_json

#: days for which a batch can be read after its end
KEEP_DAYS = 30


@dataclass(frozen=True, slots=True)
class Selection:
    """Runs, as SQL: a condition on the table of runs, which is called `r`, and its parameters.

    archived: whether archived runs are meant, too.
    """

    where: str
    parameters: Sequence[Any]
    archived: bool

    def tables(self) -> tuple[str, ...]:
        return ("workflows_workflowrun", "workflows_archivedrun") if self.archived else ("workflows_workflowrun",)

    def union(self, columns: str) -> tuple[str, list[Any]]:
        """These columns of all runs that are meant."""
        parts = [f"SELECT {columns} FROM {table} r WHERE {self.where}" for table in self.tables()]  # noqa: S608
        return " UNION ALL ".join(parts), [*self.parameters] * len(parts)


@dataclass(frozen=True, slots=True)
class Batch:
    id: str
    operation: str
    reason: str
    created_by: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run of a batch. result: the run that came of it, or had come of it before."""

    run_id: str
    outcome: str
    result: str | None = None
    detail: str | None = None


def count_selected(selection: Selection) -> list[tuple[str, str, int]]:
    """(workflow, state, how many) of the runs that are meant."""
    sql, parameters = selection.union("workflow, state")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT workflow, state, count(*) FROM ({sql}) s GROUP BY 1, 2 ORDER BY 1, 2",  # noqa: S608
            parameters,
        )
        return [(workflow, state, count) for workflow, state, count in cursor.fetchall()]


def insert_batch(
    id_: str, operation: str, selection: Selection, *, filter: Any, reason: str, by: str, most: int
) -> int:
    """Write a batch with a row for each run that is meant, up to `most` + 1. Returns how many there are. Needs a
    transaction, which the caller rolls back if the number is not what it should be."""
    sql, parameters = selection.union("id, workflow")
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH meant AS MATERIALIZED (SELECT id, workflow FROM ({sql}) s LIMIT %s), "  # noqa: S608
            f"added AS (INSERT INTO workflows_batchrun (batch_id, run_id) SELECT %s::uuid, id FROM meant) "
            f"SELECT count(*), coalesce(array_agg(DISTINCT workflow::text), ARRAY[]::text[]) FROM meant",
            [*parameters, most + 1, id_],
        )
        count: int
        count, workflows = cursor.fetchone()
        cursor.execute(
            """
            INSERT INTO workflows_runbatch (id, operation, filter, reason, total, workflows, created_by, finished_at)
            VALUES (%s, %s, %s, %s, %s, %s::text[], %s, CASE WHEN %s = 0 THEN clock_timestamp() END)
            """,
            [id_, operation, to_json(filter), reason, count, to_array(workflows), by, count],
        )
    return count


def open_batches() -> list[Batch]:
    """Batches that may go on now, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, operation, reason, created_by FROM workflows_runbatch
            WHERE finished_at IS NULL AND coalesce(not_before <= clock_timestamp(), true) ORDER BY id
            """
        )
        return [Batch(str(id_), *rest) for id_, *rest in cursor.fetchall()]


def lock_portion(
    batch_id: str, *, limit: int, after: str | None = None, only: Sequence[str] | None = None
) -> dict[str, str]:
    """The next runs of a batch (of `only`) that have no outcome and that no other process is working on, in their
    order, with their places for `write_outcomes`. Needs a transaction.

    after: look behind this run. Before it are the index's entries of all runs that were done: each search from the
    beginning would read past all of them, until a vacuum.
    """
    among, runs = ("AND run_id = ANY(%s::uuid[])", [to_array(only)]) if only is not None else ("", [])
    behind, last = ("AND run_id > %s::uuid", [after]) if after is not None else ("", [])
    with connection.cursor() as cursor:
        prepared.execute(
            cursor,
            f"""
            SELECT run_id, ctid::text FROM workflows_batchrun
            WHERE batch_id = %s AND outcome IS NULL {among} {behind}
            -- The index's order: PostgreSQL does not see that all outcomes are the same if they are NULL.
            ORDER BY batch_id, outcome, run_id LIMIT %s FOR UPDATE SKIP LOCKED
            """,  # noqa: S608  (made of constants)
            [batch_id, *runs, *last, limit],
        )
        return {str(run_id): place for run_id, place in cursor.fetchall()}


def write_outcomes(batch_id: str, places: Mapping[str, str], outcomes: Sequence[Outcome]) -> None:
    """Needs the transaction that locked these runs. places: what `lock_portion` returned."""
    columns = [to_array(getattr(each, name) for each in outcomes) for name in ("run_id", "outcome", "result", "detail")]
    with connection.cursor() as cursor:
        # By the rows' places, which no other transaction can change while this one locks them. By their keys PostgreSQL
        # may compare each run of the portion with each of the batch: it does not know of a batch that is a second old
        # (measured: 34 s for one portion of 50,000 runs).
        prepared.execute(
            cursor,
            """
            UPDATE workflows_batchrun b
            SET outcome = v.outcome, result = v.result, detail = left(v.detail, 400), at = clock_timestamp()
            FROM unnest(%s::text[], %s::text[], %s::uuid[], %s::text[], %s::tid[])
              AS v (run_id, outcome, result, detail, place)
            WHERE b.ctid = v.place AND b.run_id::text = v.run_id
            """,
            [*columns, to_array(places[each.run_id] for each in outcomes)],
        )
        cursor.execute(
            "UPDATE workflows_runbatch SET not_before = NULL, waits_for = NULL WHERE id = %s AND waits_for IS NOT NULL",
            [batch_id],
        )


def put_batch_off(batch_id: str, *, seconds: float, why: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE workflows_runbatch SET not_before = clock_timestamp() + make_interval(secs => %s),
                                          waits_for = left(%s, 400)
            WHERE id = %s
            """,
            [seconds, why, batch_id],
        )


def end_batch(batch_id: str) -> bool:
    """Note that each of its runs has an outcome. Returns whether that is so."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE workflows_runbatch SET finished_at = clock_timestamp(), not_before = NULL, waits_for = NULL
            WHERE id = %s AND finished_at IS NULL
              AND NOT EXISTS (SELECT FROM workflows_batchrun WHERE batch_id = %s AND outcome IS NULL)
            """,
            [batch_id, batch_id],
        )
        return bool(cursor.rowcount)


def forget_batches(*, older_than_days: int) -> int:
    """Delete batches that ended that long ago. What they did stays. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH gone AS (
                DELETE FROM workflows_runbatch
                WHERE id IN (SELECT id FROM workflows_runbatch
                             WHERE finished_at < now() - make_interval(days => %s) LIMIT 10)
                RETURNING id),
            runs AS (DELETE FROM workflows_batchrun WHERE batch_id IN (SELECT id FROM gone))
            SELECT count(*) FROM gone
            """,
            [older_than_days],
        )
        count: int = cursor.fetchone()[0]
        return count


def add_retries(retries: Sequence[tuple[str, str]], *, by: str) -> set[str]:
    """Note that these (run, new run) are retries. Needs the transaction that inserts the new runs. Returns the runs
    that had no retry yet: only those may be retried. Waits for a transaction that is about to retry the same run."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO workflows_runretry (retry_of, retried_as, by)
            SELECT v.retry_of, v.retried_as, %s FROM unnest(%s::uuid[], %s::uuid[]) AS v (retry_of, retried_as)
            ORDER BY v.retry_of ON CONFLICT (retry_of) DO NOTHING RETURNING retry_of
            """,
            [by, *(list(column) for column in zip(*retries, strict=True))],
        )
        return {str(row[0]) for row in cursor.fetchall()}


def retries_of(run_ids: Sequence[str]) -> dict[str, str]:
    """The retry of each of these runs that has one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT retry_of, retried_as FROM workflows_runretry WHERE retry_of = ANY(%s::uuid[])", [list(run_ids)]
        )
        return {str(run): str(retry) for run, retry in cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class EndedRun:
    """What a retry takes over from a run. input: JSON."""

    id: str
    version_id: int
    workflow: str
    business_key: str | None
    lane: str
    state: str
    input: str


def runs_to_retry(run_ids: Sequence[str]) -> dict[str, EndedRun]:
    """These runs, wherever they are kept."""
    parts = [
        f"SELECT id, version_id, workflow, business_key, lane, state, input::text FROM {table} "  # noqa: S608
        "WHERE id = ANY(%s::uuid[])"
        for table in ("workflows_workflowrun", "workflows_archivedrun")
    ]
    with connection.cursor() as cursor:
        # One statement sees a run that is archived meanwhile exactly once.
        cursor.execute(" UNION ALL ".join(parts), [list(run_ids)] * 2)
        return {str(id_): EndedRun(str(id_), *rest) for id_, *rest in cursor.fetchall()}


def clock() -> datetime:
    """The database's time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now
