"""New runs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from erip.audit import starts as audit
from erip.foundation.db import prepared
from workflows.core.states import Lane, RunState
from workflows.store import outbox, unattempted
from workflows.store.keys import StartKey
from workflows.store.rows import NEW_STEPS, Writes
from workflows.store.timings import runs_ended
from workflows.store.values import RUN_ENDED_CHANNEL, WORKER_CHANNEL, NewRun, to_array, to_json


def start_run(
    run: NewRun, *, key: StartKey | None = None, unsure: bool = False, pinned: bool = False, hand_over: bool = False
) -> tuple[datetime, list[tuple[str, str]], bool] | None:
    """Insert one run with its first steps and its key, in one round trip and one transaction. Needs none around it.

    unsure: insert only if its version is its workflow's latest (or exists, if pinned) and its time is right: Note
    [Known versions] in `versions`. hand_over: announce it to a worker (Note [Hand-over] in `handover`).
    Returns the database's time, the hints to publish and whether it was announced; None if nothing was inserted,
    because the key is taken or an unsure assumption was wrong. While another transaction holds the key, this waits for
    its end.
    """
    writes = Writes()
    hints = [(lane, run.id) for lane in sorted(writes.add_new(run))]
    parts: list[str] = []
    conditions: list[str] = []
    parameters: list[Any] = []
    if unsure:
        parts.append(_STILL_RIGHT)
        parameters += [run.version_id, pinned, run.view.lane, run.view.created_at, run.view.created_at]
        conditions.append("(SELECT holds FROM still_right)")
    if key is not None:
        parts.append(_TAKE_KEY.format(condition=" AND ".join(conditions) or "true"))
        parameters += [key.principal, key.key, key.request_hash, run.id]
        conditions = ["EXISTS (SELECT FROM taken)"]
    parts.append(f"run AS ({_NEW_RUNS} WHERE {' AND '.join(conditions) or 'true'} RETURNING id)")
    parameters += _new_run_columns([run])
    if writes.step_inserts:
        parts.append(f"step AS ({NEW_STEPS} WHERE v.run_id IN (SELECT id FROM run))")  # noqa: S608
        parameters += [to_array(column) for column in zip(*writes.step_inserts, strict=True)]
    parts.append(f"audited AS ({audit.SELECT} FROM run)")
    parameters += audit.started(run.started_by, [run.view.workflow], [run.id])
    if writes.outbox:
        told, tell = writes.outbox.of_new("WHERE v.run_id IN (SELECT id FROM run)")
        parts.append(f"told AS ({told})")
        parameters += tell
    if writes.opened:
        opened, open_ = writes.open_tasks("WHERE v.run_id IN (SELECT id FROM run)")
        parts.append(opened)
        parameters += open_
    announced = "false"
    if hand_over and (run.view.lane, run.id) in hints:
        announced = _HAND_OVER
        waiting = to_array(_not_to_overtake(run.view.lane))
        parameters += [WORKER_CHANNEL, run.view.lane, run.view.lane, waiting, waiting]
    # A run may end as it starts: all its steps are skipped, or an expression fails.
    ended = f", pg_notify('{RUN_ENDED_CHANNEL}', id::text)" if _end_is_awaited(run) else ""
    with connection.cursor() as cursor:
        statement = f"WITH {', '.join(parts)} SELECT clock_timestamp(), {announced}{ended} FROM run"  # noqa: S608
        prepared.execute(cursor, statement, parameters)
        row = cursor.fetchone()
    if row is None:
        outbox.nothing_announced()
        return None
    _count_ended([run])
    return row[0], hints, row[1]


_STILL_RIGHT = """still_right AS (
SELECT EXISTS (SELECT FROM workflows_workflowversion v JOIN workflows_workflowdefinition d ON d.id = v.definition_id
               WHERE v.id = %s AND (%s OR v.number = d.latest)
                 AND NOT EXISTS (SELECT FROM workflows_hold h WHERE h.resumed_at IS NULL
                                 AND h.name = CASE h.kind WHEN 'workflow' THEN d.name ELSE %s::text END))
       AND %s::timestamptz <= clock_timestamp() AND %s::timestamptz > clock_timestamp() - interval '1 s' AS holds
)"""


_TAKE_KEY = """taken AS (
INSERT INTO workflows_idempotencykey (principal, key, request_hash, run_id)
SELECT %s, %s, %s, %s::uuid WHERE {condition} ON CONFLICT (principal, key) DO NOTHING RETURNING 1
)"""


# It goes to the worker with the fewest lanes: a reserved one. A run that is not critical never overtakes equally urgent
# work.
_HAND_OVER = """coalesce((
SELECT pg_notify(%s || w.id, %s || ' ' || run.id) IS NOT NULL
FROM (SELECT id FROM workflows_worker
      WHERE stopped_at IS NULL AND heartbeat_at > clock_timestamp() - interval '2 s'
        AND %s = ANY(string_to_array(lanes, ','))
      ORDER BY cardinality(string_to_array(lanes, ',')), random() LIMIT 1) w
WHERE NOT EXISTS (SELECT FROM workflows_steprun s WHERE s.state = 'READY' AND s.lane = ANY(%s))
  AND NOT EXISTS (SELECT FROM workflows_chunk c WHERE c.worker_id IS NULL AND c.lane = ANY(%s))
), false)"""


def _not_to_overtake(lane: str) -> list[str]:
    """The lanes whose waiting work forbids handing over a run of this lane."""
    order = [str(each) for each in Lane]
    return [] if lane == Lane.CRITICAL else order[: order.index(lane) + 1]


def still_ready(run_ids: Sequence[str]) -> list[tuple[str, str]]:
    """(lane, run id) of those of these runs that still wait for a worker."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT lane, run_id FROM workflows_steprun WHERE run_id = ANY(%s::uuid[]) AND state = 'READY'",
            [list(run_ids)],
        )
        return [(lane, str(run_id)) for lane, run_id in cursor.fetchall()]


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
    sql.append(audit.VALUES)
    parameters += audit.started(runs[0].started_by, [run.view.workflow for run in runs], [run.id for run in runs])
    if writes.outbox:
        told, tell = writes.outbox.of_new()
        sql.append(told)
        parameters += tell
    if writes.opened:
        opened, open_ = writes.open_tasks()
        sql.append(f"WITH {opened} SELECT 1")
        parameters += open_
    if awaited := [run.id for run in runs if _end_is_awaited(run)]:
        sql.append(f"SELECT pg_notify('{RUN_ENDED_CHANNEL}', id) FROM unnest(%s::text[]) AS ended (id)")  # noqa: S608
        parameters.append(to_array(awaited))
    with connection.cursor() as cursor:
        cursor.execute(";\n".join(sql), parameters)
    _count_ended(runs)
    return hints


def _count_ended(runs: Sequence[NewRun]) -> None:
    ended = [(run, run.plan.run.state) for run in runs if run.plan.run is not None and run.plan.run.state.ended]
    if ended:
        runs_ended((run.id, run.view.workflow, state, run.view.created_at) for run, state in ended)
    # A run may fail as it starts, or a step of it.
    failed = [one for run in runs for one in unattempted.of_plan(run.id, run.view.workflow, run.version_id, run.plan)]
    if failed:
        unattempted.announce(failed)


def _end_is_awaited(run: NewRun) -> bool:
    """Whether it ended as it started, and somebody may wait for its end."""
    return run.notify and run.plan.run is not None and run.plan.run.state.ended


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
        [run.plan.run.state if run.plan.run else RunState.PENDING for run in runs],
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
