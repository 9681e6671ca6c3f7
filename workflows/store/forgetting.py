"""Removes runs that ended, one by one, from the hot tables and from the archive. Who decides which:
`privacy.retention`.

An approval stays, as it does when its run is archived: it says who approved what. So do legal clocks. What is sealed in
them cannot be read any more, because the run's own key goes with the run.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection

#: what belongs to a run in the hot tables, with the column that names the run, in the order in which rows must go
_OF_A_RUN = (
    ("workflows_runsignal", "run_id"),
    ("workflows_runpause", "run_id"),
    ("workflows_stepbeat", "run_id"),
    ("workflows_steprun", "run_id"),
    ("workflows_runevent", "run_id"),
    ("workflows_workflowrun", "id"),
)
#: a step in one of these may still change
_OPEN = "('PENDING', 'READY', 'RUNNING', 'WAITING', 'PAUSED', 'UNKNOWN')"


def ended_runs(table: str, *, after: UUID, until: UUID, limit: int) -> list[tuple[UUID, str, Any, Any]]:
    """(id, workflow, created at, finished at) of runs that ended and that nothing changes any more, by id.

    table: `workflows_workflowrun` or `workflows_archivedrun`. after, until: ids; neither is among them. The search
    reads `limit` runs at the most, so it may return fewer although there are more: the last row says how far it came,
    with an empty workflow if that run has not ended.
    """
    assert table in ("workflows_workflowrun", "workflows_archivedrun")
    steps = "workflows_steprun" if table == "workflows_workflowrun" else "workflows_archivedsteprun"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT r.id, CASE WHEN r.finished_at IS NULL OR {_still_open(steps)} THEN '' ELSE r.workflow END,
                   r.created_at, r.finished_at
            FROM {table} r WHERE r.id > %s AND r.id < %s ORDER BY r.id LIMIT %s
            """,  # noqa: S608  (names of our own tables)
            [after, until, limit],
        )
        return cursor.fetchall()  # type: ignore[no-any-return]


def _still_open(steps: str) -> str:
    return f"EXISTS (SELECT FROM {steps} s WHERE s.run_id = r.id AND s.state IN {_OPEN})"


def forget_runs(ids: Sequence[UUID]) -> int:
    """Remove these runs, wherever they are, in the caller's transaction. Returns how many there were. Raises
    DatabaseError where the database's owner has promised to keep one of them longer (`promise`)."""
    wanted = sorted(set(ids))
    with connection.cursor() as cursor:
        # What began to change again since somebody looked stays.
        cursor.execute(
            f"""
            SELECT r.id FROM workflows_workflowrun r WHERE r.id = ANY(%s::uuid[]) AND r.finished_at IS NOT NULL
            AND NOT {_still_open("workflows_steprun")} ORDER BY r.id FOR UPDATE
            """,  # noqa: S608
            [wanted],
        )
        hot = [row[0] for row in cursor.fetchall()]
        for table, key in _OF_A_RUN if hot else ():
            cursor.execute(f"DELETE FROM {table} WHERE {key} = ANY(%s::uuid[])", [hot])  # noqa: S608
        cursor.execute("SELECT workflows_forget_archived_runs(%s::uuid[])", [wanted])
        archived: int = cursor.fetchone()[0]
        cursor.execute(
            "DELETE FROM workflows_runretry WHERE retried_as = ANY(%s::uuid[]) OR retry_of = ANY(%s::uuid[])",
            [wanted, wanted],
        )
    return len(hot) + archived


def still_there(ids: Sequence[UUID]) -> set[UUID]:
    """Those that are in the hot tables."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM workflows_workflowrun WHERE id = ANY(%s::uuid[])", [list(ids)])
        return {row[0] for row in cursor.fetchall()}


def least_days() -> int | None:
    """Days after its end before which no archived run goes; None: none goes at all."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT workflows_retention_floor()")
        found: int | None = cursor.fetchone()[0]
    return found


def promise(cursor: Any, days: int | None) -> None:
    """As the database's owner: from now on the application can remove no archived run that ended less long ago.

    None: none at all.
    """
    kept = "NULL::int" if days is None else str(int(days))
    cursor.execute(
        f"CREATE OR REPLACE FUNCTION workflows_retention_floor() RETURNS int LANGUAGE sql STABLE AS 'SELECT {kept}'"
    )
