"""Which event started which run."""

from typing import Any

import orjson
from django.db import connection

from workflows.events.errors import NotStartedByEvent


def event_of(run_id: str) -> dict[str, Any]:
    """The event that started a run, and the rule by which it did. Raises NotStartedByEvent."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT t.run_id, t.trigger, t.partition, t.position, t.logged_at, e.event
            FROM events_triggeredrun t
            LEFT JOIN events_event e
              ON e.partition = t.partition AND e.position = t.position AND e.logged_at = t.logged_at
            WHERE t.run_id = %s
            """,
            [run_id],
        )
        row = cursor.fetchone()
    if row is None:
        raise NotStartedByEvent
    run, trigger, partition, position, logged_at, event = row
    return {
        "run_id": run,
        "trigger": trigger,
        "position": f"{partition}-{position}",
        "logged_at": logged_at,
        "event": orjson.Fragment(event) if event is not None else None,
    }


def runs_of(identity: str) -> list[dict[str, Any]]:
    """The runs that the event of this identity started, by their rules. identity: 32 hexadecimal digits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT run_id, trigger FROM events_triggeredrun WHERE event = %s::uuid ORDER BY trigger", [identity]
        )
        return [{"run_id": run_id, "trigger": trigger} for run_id, trigger in cursor.fetchall()]
