"""Events of the log with their sensitive data, for those who may see it and for the person whom they are about."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.db import connection

from workflows.events.errors import UnknownEvent
from workflows.events.sealing import opened_as_far
from workflows.privacy.events import Place, read_by
from workflows.store import to_array


def open_event(partition: int, position: int) -> dict[str, Any]:
    """An event with everything opened that can be; null in place of what was erased. Raises UnknownEvent."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT partition, position, logged_at, event FROM events_event WHERE partition = %s AND position = %s",
            [partition, position],
        )
        row = cursor.fetchone()
    if row is None:
        raise UnknownEvent(f"There is no event at {partition}-{position} in the log.")
    return _told(*row)


@read_by
def events_at(places: Sequence[Place]) -> list[Mapping[str, Any]]:
    """The events at these places that are still in the log, in their order."""
    columns = zip(*((one.partition, one.position, one.logged_at) for one in places), strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT e.partition, e.position, e.logged_at, e.event
            FROM unnest(%s::int[], %s::bigint[], %s::timestamptz[]) WITH ORDINALITY
              AS v (partition, position, logged_at, place)
            JOIN events_event e USING (partition, position, logged_at) ORDER BY v.place
            """,
            [to_array(column) for column in columns],
        )
        rows = cursor.fetchall()
    return [_told(*row) for row in rows]


def _told(partition: int, position: int, logged_at: Any, event: str) -> dict[str, Any]:
    return {
        "position": f"{partition}-{position}",
        "logged_at": logged_at.isoformat(),
        "event": opened_as_far(orjson.loads(event)),
    }
