"""What has come due."""

from django.db import connection


def due_steps(*, limit: int) -> list[tuple[str, str, int]]:
    """(run id, step, item) of waiting steps whose rest is over."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT run_id, step, item FROM workflows_steprun
            WHERE state = 'WAITING' AND due_at <= now() ORDER BY due_at LIMIT %s
            """,
            [limit],
        )
        return [(str(run_id), step, item) for run_id, step, item in cursor.fetchall()]


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
