"""The items of steps, read and written in sets. See Note [Items] in `core/machine/items`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection

from workflows.core.machine import NO_ITEM, ItemsEnded, StepKey, StepView
from workflows.core.machine.items import MAX_OUTPUT_BYTES, FanView, ItemResult
from workflows.core.states import StepState
from workflows.store.values import RUN_ENDED_CHANNEL, from_json

#: items of one run that are claimed at one look, so that they spread over threads and workers
PORTION = 50


def portions(items: int) -> int:
    """How many looks it takes to claim this many ready items."""
    return -(-items // PORTION)


# The database chooses which pending items are released: the first ones. `won` is the condition: while the run's `seq`
# is unchanged since the decision, so are the items' states, and as many are pending as the decision counted on. It is
# materialised because a planner that expects one item may choose anew for each.
RELEASE = """ chosen AS MATERIALIZED (
SELECT v.run_id, v.step, p.item, p.place <= v.claimed AS claimed, v.worker
FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::int[], %s::bigint[]) AS v (run_id, step, count, claimed, worker)
CROSS JOIN LATERAL (
    SELECT s.item, row_number() OVER (ORDER BY s.item) AS place FROM workflows_steprun s
    WHERE s.run_id = v.run_id AND s.step = v.step AND s.item >= 0 AND s.state = 'PENDING' ORDER BY s.item LIMIT v.count
) p
WHERE v.run_id IN (SELECT id FROM won)
), released AS (
UPDATE workflows_steprun s
SET state = CASE WHEN c.claimed THEN 'RUNNING' ELSE 'READY' END, attempt = s.attempt + c.claimed::int,
    worker_id = CASE WHEN c.claimed THEN c.worker ELSE s.worker_id END, ready_at = clock_timestamp(),
    started_at = CASE WHEN c.claimed THEN clock_timestamp() ELSE s.started_at END, due_at = NULL, hinted_at = NULL
FROM chosen c WHERE s.run_id = c.run_id AND s.step = c.step AND s.item = c.item
RETURNING s.run_id, s.step, s.item, s.attempt, s.failures, s.lost, s.input, c.claimed
)"""

#: after RELEASE: the runs that were written, each followed by what the reporter now owns of it
RELEASED = f"""
SELECT id::text, NULL, NULL, NULL, NULL, NULL, NULL,
       CASE WHEN announced THEN pg_notify('{RUN_ENDED_CHANNEL}', id::text)::text END FROM won
UNION ALL
SELECT run_id::text, step, item, attempt, failures, lost, input::text, NULL FROM released WHERE claimed
"""  # noqa: S608  (made of constants)


def cancel_items(fan_outs: Sequence[tuple[str, str, bool]]) -> None:
    """Cancel the items that have not begun, and those that can be repeated, of each (run id, step, whether a running
    item can be repeated). Needs the transaction that ended the runs."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE workflows_steprun s
            SET state = 'CANCELLED', finished_at = clock_timestamp(), due_at = NULL, hinted_at = NULL
            FROM unnest(%s::uuid[], %s::text[], %s::bool[]) AS v (run_id, step, repeatable)
            WHERE s.run_id = v.run_id AND s.step = v.step AND s.item >= 0
              AND (s.state IN ('PENDING', 'READY', 'WAITING', 'PAUSED') OR (s.state = 'RUNNING' AND v.repeatable))
            """,
            [list(column) for column in zip(*fan_outs, strict=True)],
        )


def items_ended(run_id: str, step: str) -> ItemsEnded:
    """The results of the items, unless they are too large to be read. Needs the run's lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT item, state, CASE WHEN total <= %s THEN output END, error::text, total
            FROM (
                SELECT item, state, error, output::text AS output, sum(octet_length(output::text)) OVER () AS total
                FROM workflows_steprun WHERE run_id = %s AND step = %s AND item >= 0
            ) items
            ORDER BY item
            """,
            [MAX_OUTPUT_BYTES, run_id, step],
        )
        rows = cursor.fetchall()
    if rows and (rows[0][-1] or 0) > MAX_OUTPUT_BYTES:
        return ItemsEnded(step, None)
    return ItemsEnded(
        step,
        tuple(
            ItemResult(item, StepState(state), from_json(output), from_json(error))
            for item, state, output, error, _ in rows
        ),
    )


def load(
    cursor: Any,
    steps: Mapping[str, dict[StepKey, StepView]],
    fan_outs: Iterable[tuple[str, str]],
    touched: Sequence[tuple[str, str, int]],
    worker_id: int | None,
) -> None:
    """Complete the loaded runs that have (run id, step) fan-outs in progress: add how many items are in each state, the
    items that are `touched`, and those that run on this worker, which it will report on next."""
    fan_outs = list(fan_outs)
    if fan_outs:
        cursor.execute(
            """
            SELECT s.run_id::text, s.step, s.state, count(*)
            FROM unnest(%s::uuid[], %s::text[]) AS v (run_id, step)
            JOIN workflows_steprun s ON s.run_id = v.run_id AND s.step = v.step AND s.item >= 0
            GROUP BY s.run_id, s.step, s.state
            """,
            [list(column) for column in zip(*fan_outs, strict=True)],
        )
        counts: dict[tuple[str, str], dict[StepState, int]] = {key: {} for key in fan_outs}
        for run_id, step, state, count in cursor.fetchall():
            counts[run_id, step][StepState(state)] = count
        for (run_id, step), of_states in counts.items():
            view = steps[run_id][step, NO_ITEM]
            steps[run_id][step, NO_ITEM] = StepView(view.state, fan=FanView.of(of_states))
    if touched:
        cursor.execute(
            """
            SELECT s.run_id::text, s.step, s.item, s.state, s.attempt, s.failures, s.lost
            FROM unnest(%s::uuid[], %s::text[], %s::int[]) AS v (run_id, step, item)
            JOIN workflows_steprun s ON s.run_id = v.run_id AND s.step = v.step AND s.item = v.item
            """,
            [list(column) for column in zip(*touched, strict=True)],
        )
        _put(steps, cursor.fetchall())
    if fan_outs and worker_id is not None:
        cursor.execute(
            """
            SELECT run_id::text, step, item, state, attempt, failures, lost FROM workflows_steprun
            WHERE state = 'RUNNING' AND worker_id = %s AND item >= 0 AND run_id = ANY(%s::uuid[])
            """,
            [worker_id, list({run_id for run_id, _ in fan_outs})],
        )
        _put(steps, cursor.fetchall())


def _put(steps: Mapping[str, dict[StepKey, StepView]], rows: Iterable[tuple[Any, ...]]) -> None:
    for run_id, step, item, state, attempt, failures, lost in rows:
        if run_id in steps:
            steps[run_id][step, item] = StepView(StepState(state), attempt, failures, lost)
