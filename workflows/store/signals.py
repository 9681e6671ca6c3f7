"""Signals that are kept for a run until a step waits for them. Each function but `lock_run` and `under_way`
needs the run's lock."""

from collections.abc import Sequence

from django.db import connection

from workflows.core.machine import Signal
from workflows.store.values import from_json, to_array, to_json


def lock_run(run_id: str) -> None:
    """Wait until nobody else decides about the run. Needs a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM workflows_workflowrun WHERE id = %s FOR NO KEY UPDATE", [run_id])


def announce_end(run_id: str) -> None:
    """Have the end of the run announced from now on. It also locks the run, as what follows does."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_workflowrun SET notify = true WHERE id = %s AND NOT notify", [run_id])


def keep_signal(run_id: str, signal: Signal) -> None:
    """Keep a signal for which no step waits yet, and record that."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH kept AS (
                INSERT INTO workflows_runsignal (run_id, key, name, payload, sent_by)
                VALUES (%(run)s, %(key)s, %(name)s, %(payload)s::jsonb, %(by)s)
            )
            INSERT INTO workflows_runevent (run_id, at, type, detail)
            VALUES (%(run)s, clock_timestamp(), 'run.signal_kept',
                    jsonb_build_object('signal', %(name)s::text, 'id', %(key)s::text, 'by', %(by)s::text))
            """,
            {
                "run": run_id,
                "key": signal.id,
                "name": signal.name,
                "payload": to_json(signal.payload),
                "by": signal.by,
            },
        )


def take_signal(run_id: str, name: str) -> Signal | None:
    """Take the first signal of that name that was kept, and keep it no longer."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM workflows_runsignal WHERE id = (
                SELECT id FROM workflows_runsignal WHERE run_id = %s AND name = %s ORDER BY id LIMIT 1
            )
            RETURNING key, name, payload::text, sent_by
            """,
            [run_id, name],
        )
        row = cursor.fetchone()
    return Signal(row[0], row[1], from_json(row[2]), row[3]) if row else None


def signals_kept(run_id: str, name: str) -> int:
    """How many signals of that name are kept."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM workflows_runsignal WHERE run_id = %s AND name = %s", [run_id, name])
        count: int = cursor.fetchone()[0]
        return count


def done_with(run_id: str, name: str) -> set[str]:
    """The steps of a run that take no signal of that name any more: they have ended, or have taken one."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT step FROM workflows_steprun
            WHERE run_id = %(run)s AND item = -1 AND state IN ('SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELLED')
            UNION
            SELECT step FROM workflows_runevent
            WHERE run_id = %(run)s AND type = 'step.signalled' AND detail->>'signal' = %(signal)s
            """,
            {"run": run_id, "signal": name},
        )
        return {row[0] for row in cursor.fetchall()}


def under_way(wanted: Sequence[tuple[str, str]], *, most: int) -> dict[tuple[str, str], list[str]]:
    """The runs that have not ended, newest first and `most` at most, of each (workflow, business key)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT v.workflow, v.key, r.id FROM unnest(%s::text[], %s::text[]) AS v (workflow, key)
            CROSS JOIN LATERAL (
                SELECT id FROM workflows_workflowrun r
                WHERE r.business_key = v.key AND r.workflow = v.workflow AND r.finished_at IS NULL
                ORDER BY id DESC LIMIT %s
            ) r
            """,
            [*(to_array(column) for column in zip(*wanted, strict=True)), most],
        )
        found: dict[tuple[str, str], list[str]] = {}
        for workflow, key, run_id in cursor.fetchall():
            found.setdefault((workflow, key), []).append(str(run_id))
        return found
