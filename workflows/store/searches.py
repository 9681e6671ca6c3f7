"""Finds what is due."""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from erip.foundation.db import prepared
from workflows.store.values import to_array


def lock_due(lanes: Sequence[str], *, limit: int) -> list[tuple[str, str, int]]:
    """(run id, step, item) of due steps: lane by lane in the order given, and in each lane the longest due first. Needs
    a transaction; it locks their runs, so that nobody else sees them as due, and passes over busy ones.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT l.lane FROM unnest(%s::text[]) WITH ORDINALITY AS l (lane, place)
            WHERE EXISTS (SELECT 1 FROM workflows_steprun s
                          WHERE s.state = 'WAITING' AND s.lane = l.lane AND s.due_at <= now())
            ORDER BY l.place
            """,
            [to_array(lanes)],
        )
        found: dict[UUID, None] = {}
        for (lane,) in cursor.fetchall():
            # Lane by lane, so that runs locked by others are passed over before they are counted.
            cursor.execute(
                """
                SELECT r.id FROM workflows_steprun s JOIN workflows_workflowrun r ON r.id = s.run_id
                WHERE s.state = 'WAITING' AND s.lane = %s AND s.due_at <= now()
                ORDER BY s.due_at LIMIT %s FOR NO KEY UPDATE OF r SKIP LOCKED
                """,
                [lane, limit - len(found)],
            )
            found.update((row[0], None) for row in cursor.fetchall())
            if len(found) >= limit:
                break
        runs = list(found)
        if not runs:
            return []
        # Read only now, under the locks: a step that was due may have gone on, and may rest again until a later moment.
        # By the runs' keys (Note [Set-based control] in `pauses`): the index of what is due holds the whole of a burst.
        prepared.execute(
            cursor,
            """
            SELECT s.run_id, s.step, s.item FROM unnest(%s::uuid[]) WITH ORDINALITY AS r (id, place)
            JOIN workflows_steprun s ON s.run_id = r.id
            WHERE s.state || '' = 'WAITING' AND s.due_at <= now() ORDER BY r.place, s.due_at
            """,
            [to_array(runs)],
        )
        return [(str(run_id), step, item) for run_id, step, item in cursor.fetchall()]


def put_off(steps: Sequence[tuple[str, str, int]], *, seconds: float) -> None:
    """Postpone steps that cannot be released now. Needs the transaction that locked their runs."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE workflows_steprun s SET due_at = now() + make_interval(secs => %s)
            FROM unnest(%s::uuid[], %s::text[], %s::int[]) AS v (run_id, step, item)
            WHERE s.run_id = v.run_id AND s.step = v.step AND s.item = v.item AND s.state = 'WAITING'
            """,
            [seconds, *(list(column) for column in zip(*steps, strict=True))],
        )


def overdue_runs(*, limit: int) -> list[str]:
    """Runs past their deadline that have not ended."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id FROM workflows_workflowrun
            WHERE deadline_at <= now() AND finished_at IS NULL ORDER BY deadline_at LIMIT %s
            """,
            [limit],
        )
        return [str(row[0]) for row in cursor.fetchall()]
