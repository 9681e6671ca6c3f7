"""Pausing and resuming runs, in sets. See Note [Pause] in `engine/pausing`."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from erip.foundation.db import prepared
from workflows.core.machine import NO_ITEM
from workflows.store.fan_outs import portions
from workflows.store.values import to_array


def lock_runs(run_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """(state, version id) of these runs, by id; those that do not exist are absent. Needs a transaction, and locks
    them."""
    with connection.cursor() as cursor:
        prepared.execute(
            cursor,
            """
            SELECT id, state, version_id FROM workflows_workflowrun WHERE id = ANY(%s::uuid[])
            ORDER BY id FOR NO KEY UPDATE
            """,
            [to_array(run_ids)],
        )
        return {str(run_id): (state, version_id) for run_id, state, version_id in cursor.fetchall()}


def standing_clocks(run_ids: Sequence[str]) -> dict[str, datetime]:
    """Of these paused runs: the moments at which the clocks of those stand whose clocks stand."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT run_id, since FROM workflows_runpause WHERE run_id = ANY(%s::uuid[]) AND clock = 'stop'",
            [list(run_ids)],
        )
        return {str(run_id): since for run_id, since in cursor.fetchall()}


# Note [Set-based control]
# Statements about hundreds of runs of many thousands are planned once (Note [Prepared statements] in
# `erip/foundation/db/prepared`), find each row by its primary key, and hide a condition on a state from the planner
# (`state || ''`). Otherwise it reads a whole partial index, or the whole table, once for each portion, as soon as its
# statistics are behind: and during such an operation they are, because it changes the state of everything.

# The locks were taken by the statement before: this one sees the steps as they are under the locks.
_PAUSE = """
WITH pause AS (
    INSERT INTO workflows_runpause (run_id, since, clock, deadline_in, by, reason, hold)
    SELECT r.id, statement_timestamp(), %(clock)s::text,
           CASE WHEN %(clock)s::text = 'stop'
                THEN extract(epoch FROM r.deadline_at - statement_timestamp())::float8 END,
           %(by)s::text, %(reason)s::text, %(hold)s::bigint
    FROM workflows_workflowrun r WHERE r.id = ANY(%(runs)s::uuid[])
), steps AS (
    UPDATE workflows_steprun s SET state = 'PAUSED', hinted_at = NULL
    WHERE s.run_id = ANY(%(runs)s::uuid[]) AND s.state || '' IN ('READY', 'WAITING')
), runs AS (
    UPDATE workflows_workflowrun r
    SET state = 'PAUSED', seq = r.seq + 1, deadline_at = CASE WHEN %(clock)s::text = 'go' THEN r.deadline_at END
    WHERE r.id = ANY(%(runs)s::uuid[])
)
INSERT INTO workflows_runevent (run_id, at, type, item, detail)
SELECT id, clock_timestamp(), 'run.paused', -1,
       jsonb_build_object('by', %(by)s::text, 'reason', %(reason)s::text, 'clock', %(clock)s::text,
                          'request', %(request)s::text)
FROM unnest(%(runs)s::uuid[]) AS paused (id)
"""


def pause(run_ids: Sequence[str], *, by: str, reason: str, clock: str, request: str, hold: int | None = None) -> None:
    """Pause runs that have not ended and are not paused. Needs their locks. clock, hold: see `RunPause`."""
    values = {"runs": to_array(run_ids), "by": by, "reason": reason, "clock": clock, "request": request, "hold": hold}
    with connection.cursor() as cursor:
        prepared.execute(cursor, _PAUSE, values)


# A parked step becomes what it was: what waits has a due time, or workers run nothing for it; the rest was ready.
_RESUME = """
WITH pause AS (
    DELETE FROM workflows_runpause WHERE run_id = ANY(%(runs)s::uuid[]) RETURNING run_id, since, clock, deadline_in
), parked AS MATERIALIZED (
    SELECT s.run_id, s.step, s.item, coalesce(k.waits, false) AS waits, coalesce(k.told, false) AS told,
           CASE WHEN p.clock = 'stop' AND NOT coalesce(k.fixed, false)
                THEN s.due_at + (statement_timestamp() - p.since) ELSE s.due_at END AS due_at
    FROM pause p
    JOIN workflows_workflowrun r ON r.id = p.run_id
    JOIN workflows_steprun s ON s.run_id = p.run_id AND s.state || '' = 'PAUSED'
    LEFT JOIN unnest(%(versions)s::bigint[], %(steps)s::text[], %(waits)s::bool[], %(fixed)s::bool[], %(told)s::bool[])
      AS k (version_id, step, waits, fixed, told) ON k.version_id = r.version_id AND k.step = s.step
), steps AS (
    UPDATE workflows_steprun s
    SET state = CASE WHEN p.waits OR p.due_at IS NOT NULL THEN 'WAITING' ELSE 'READY' END, due_at = p.due_at,
        ready_at = CASE WHEN p.waits OR p.due_at IS NOT NULL THEN s.ready_at ELSE clock_timestamp() END,
        started_at = CASE WHEN p.waits THEN coalesce(s.started_at, statement_timestamp()) ELSE s.started_at END
    FROM parked p WHERE s.run_id = p.run_id AND s.step = p.step AND s.item = p.item
    RETURNING s.run_id, s.lane, s.state, s.item
), runs AS (
    UPDATE workflows_workflowrun r
    SET seq = r.seq + 1,
        state = CASE WHEN r.id NOT IN (SELECT run_id FROM steps WHERE state = 'READY')
                      AND NOT EXISTS (SELECT FROM workflows_steprun s
                                      WHERE s.run_id = r.id AND s.state || '' = 'RUNNING')
                     THEN 'WAITING' WHEN r.started_at IS NULL THEN 'PENDING' ELSE 'RUNNING' END,
        deadline_at = CASE WHEN p.deadline_in IS NULL THEN r.deadline_at
                           ELSE statement_timestamp() + make_interval(secs => p.deadline_in) END
    FROM pause p WHERE r.id = p.run_id
), told AS (
    INSERT INTO workflows_runevent (run_id, at, type, item, detail)
    SELECT run_id, clock_timestamp(), 'run.resumed', -1,
           jsonb_build_object('by', %(by)s::text, 'request', %(request)s::text,
                              'paused_for', extract(epoch FROM statement_timestamp() - since)::float8)
    FROM pause
)
SELECT run_id::text, lane, count(*) FILTER (WHERE item < 0), count(*) FILTER (WHERE item >= 0), NULL
FROM steps WHERE state = 'READY' GROUP BY run_id, lane
UNION ALL
SELECT p.run_id::text, '', 0, 0, CASE WHEN p.clock = 'stop' THEN extract(epoch FROM statement_timestamp() - p.since)
                                    ELSE 0 END::float8
FROM pause p
WHERE p.run_id IN (SELECT run_id FROM parked WHERE told)
   -- One that a release without chunks had paused in its chunk: the machine begins it.
   OR NOT EXISTS (SELECT FROM workflows_steprun s WHERE s.run_id = p.run_id)
   OR EXISTS (SELECT FROM workflows_runsignal g WHERE g.run_id = p.run_id)
   OR EXISTS (SELECT FROM workflows_steprun s
              WHERE s.run_id = p.run_id AND s.items IS NOT NULL AND s.state || '' = 'RUNNING')
"""


def resume(
    run_ids: Sequence[str], *, by: str, request: str, kinds: Sequence[tuple[int, str, bool, bool, bool]]
) -> tuple[list[tuple[str, str]], list[tuple[str, float]]]:
    """Resume paused runs. Needs their locks.

    kinds: (version id, step, whether it waits without a worker, whether its moment is fixed, whether it is told of
    pauses) of the steps of which at least one is true. Returns (lane, run id) hints, and (run id, seconds for which its
    clock stood) of the runs about which the machine has still to decide: those with kept signals, with items, or with a
    step that is told.
    """
    versions, steps, waits, fixed, told = zip(*kinds, strict=True) if kinds else ((), (), (), (), ())
    values: dict[str, Any] = {
        "runs": to_array(run_ids),
        "by": by,
        "request": request,
        "versions": list(versions),
        "steps": list(steps),
        "waits": list(waits),
        "fixed": list(fixed),
        "told": list(told),
    }
    hints: dict[tuple[str, str], int] = defaultdict(int)
    following: list[tuple[str, float]] = []
    with connection.cursor() as cursor:
        prepared.execute(cursor, _RESUME, values)
        for run_id, lane, alone, items, stood in cursor.fetchall():
            if stood is not None:
                following.append((run_id, stood))
            else:
                hints[lane, run_id] += max(min(alone, 1), portions(items))
    return [hint for hint, times in hints.items() for _ in range(times)], following


def requested(run_ids: Sequence[str], type: str, request: str) -> set[str]:
    """Those of these runs for which this request recorded an event of this type."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT run_id FROM workflows_runevent
            WHERE run_id = ANY(%s::uuid[]) AND type = %s AND item = %s AND detail->>'request' = %s
            """,
            [list(run_ids), type, NO_ITEM, request],
        )
        return {str(row[0]) for row in cursor.fetchall()}
