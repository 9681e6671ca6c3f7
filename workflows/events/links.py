"""Which event started which run."""

from collections.abc import Collection
from typing import Any

import orjson
from django.db import connection

from erip.foundation.db import walls
from workflows.events.errors import NotStartedByEvent
from workflows.store.filters import IN_SPACES


def event_of(run_id: str) -> dict[str, Any]:
    """The event that started a run, and the rule by which it did; of a run that gathered events started, the last one,
    and the places of all. An event that gave the run a signal later is not among them. Raises NotStartedByEvent."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT t.run_id, t.trigger, t.partition, t.position, t.logged_at FROM events_triggeredrun t
            WHERE t.run_id = %s AND NOT t.signalled ORDER BY t.logged_at DESC, t.partition DESC, t.position DESC
            """,
            [run_id],
        )
        rows = cursor.fetchall()
        if not rows:
            raise NotStartedByEvent
        run, trigger, partition, position, logged_at = rows[0]
        # Whoever may see the run may see what started it, which is mostly an event from outside, and so in no space.
        with walls.lifted():
            cursor.execute(
                "SELECT event FROM events_event WHERE partition = %s AND position = %s AND logged_at = %s",
                [partition, position, logged_at],
            )
            found = cursor.fetchone()
    return {
        "run_id": run,
        "trigger": trigger,
        "position": f"{partition}-{position}",
        "logged_at": logged_at,
        "events": [f"{row[2]}-{row[3]}" for row in reversed(rows)],
        "event": orjson.Fragment(found[0]) if found is not None else None,
    }


def runs_of(identity: str, *, spaces: Collection[str] | None = None) -> list[dict[str, Any]]:
    """The runs that the event of this identity started or gave a signal, by their rules. identity: 32 hexadecimal
    digits. spaces: only those of workflows in these."""
    among, parameters = "", []
    if spaces is not None:
        runs = " UNION ALL ".join(
            f"SELECT FROM {table} r WHERE r.id = t.run_id AND {IN_SPACES}"
            for table in ("workflows_workflowrun", "workflows_archivedrun")
        )
        among, parameters = f"AND EXISTS ({runs})", [list(spaces)] * 2
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT run_id, trigger, signalled FROM events_triggeredrun t "  # noqa: S608
            f"WHERE event = %s::uuid {among} ORDER BY trigger",
            [identity, *parameters],
        )
        return [
            {"run_id": run_id, "trigger": trigger, "signalled": signalled}
            for run_id, trigger, signalled in cursor.fetchall()
        ]
