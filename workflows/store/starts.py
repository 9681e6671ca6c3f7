"""New runs, and the idempotency keys that they are started under."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from workflows.core.states import RunState
from workflows.store.rows import NEW_STEPS, Writes
from workflows.store.values import NewRun, to_array, to_json


def take_idempotency_key(principal: str, key: str, request_hash: str, run_id: str) -> tuple[str, str] | None:
    """Reserve the key for `run_id`. None if it is ours now, else (run id, request hash) of whoever has it.

    In a transaction. While another transaction holds the key, this waits for its end.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO workflows_idempotencykey (principal, key, request_hash, run_id)
            VALUES (%s, %s, %s, %s) ON CONFLICT (principal, key) DO NOTHING RETURNING 1
            """,
            [principal, key, request_hash, run_id],
        )
        if cursor.fetchone():
            return None
        cursor.execute(
            "SELECT run_id, request_hash FROM workflows_idempotencykey WHERE principal = %s AND key = %s",
            [principal, key],
        )
        known, known_hash = cursor.fetchone()
        return str(known), known_hash


def forget_idempotency_keys(*, older_than_days: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM workflows_idempotencykey WHERE created_at < now() - make_interval(days => %s)",
            [older_than_days],
        )
        count: int = cursor.rowcount
        return count


def insert_runs(runs: Sequence[NewRun]) -> list[tuple[str, str]]:
    """Insert runs with their first steps, in one round trip. Returns the hints to publish after commit.

    Needs no transaction: runs and steps are one string, and so one transaction.
    """
    writes = Writes()
    hints: list[tuple[str, str]] = []
    for run in runs:
        hints.extend((lane, run.id) for lane in writes.add_new(run))
    sql, parameters = [_NEW_RUNS], _new_run_columns(runs)
    if writes.step_inserts:
        sql.append(NEW_STEPS)
        parameters += [to_array(column) for column in zip(*writes.step_inserts, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(";\n".join(sql), parameters)
    return hints


_NEW_RUNS = """
INSERT INTO workflows_workflowrun (
    id, version_id, workflow, business_key, lane, state, input, output, error,
    started_by, notify, created_at, finished_at, deadline_at)
SELECT id, version_id, workflow, business_key, lane, state, input::jsonb, output::jsonb, error::jsonb,
       started_by, notify, created_at,
       CASE WHEN ended THEN clock_timestamp() END, created_at + make_interval(secs => timeout)
FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::text[], %s::text[], %s::text[], %s::bool[], %s::timestamptz[], %s::bool[], %s::float8[])
  AS new (id, version_id, workflow, business_key, lane, state, input, output, error,
          started_by, notify, created_at, ended, timeout)
"""


def _new_run_columns(runs: Sequence[NewRun]) -> list[str]:
    ends = [run.plan.run if run.plan.run and run.plan.run.state.ended else None for run in runs]
    columns: list[list[Any]] = [
        [run.id for run in runs],
        [run.version_id for run in runs],
        [run.view.workflow for run in runs],
        [run.view.business_key for run in runs],
        [run.view.lane for run in runs],
        [end.state if end else RunState.PENDING for end in ends],
        [to_json(run.view.input) for run in runs],
        [to_json(end.output) if end else None for end in ends],
        [to_json(end.error) if end else None for end in ends],
        [run.started_by for run in runs],
        [run.notify for run in runs],
        [run.view.created_at for run in runs],
        [end is not None for end in ends],
        [run.timeout for run in runs],
    ]
    return [to_array(column) for column in columns]
