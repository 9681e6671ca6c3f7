"""All SQL of the autoscaler."""

import json
from collections.abc import Mapping
from typing import Any

from django.db import connection

from monitoring.scaling.models import ScalingEvent
from monitoring.scaling.policy import Changes
from workflows import store
from workflows.core.lanes import LaneLoad
from workflows.core.states import Lane

#: "ESCL" in ASCII: the advisory lock that lets one autoscaler decide
LOCK = 0x4553434C
#: waiting steps are counted up to this number: more than any number of workers serves in time
COUNT_TO = 1_000_000


def try_lock() -> bool:
    """Whether this connection has the lock. It lives as long as the connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


def lane_loads() -> Mapping[str, LaneLoad]:
    return store.lane_loads(list(Lane), count_to=COUNT_TO)


def rate_of_a_worker() -> float | None:
    """Ready steps that a living general worker takes per second, on average over those that were seen at work."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT avg(rate) FROM workflows_worker"
            " WHERE stopped_at IS NULL AND 'standard' = ANY(string_to_array(lanes, ','))"
        )
        rate: float | None = cursor.fetchone()[0]
        return rate


def changes(target: str) -> tuple[Changes, float]:
    """When the target was last changed, and now, both on the database's clock (seconds since the epoch)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT extract(epoch FROM max(at) FILTER (WHERE direction = 'up'))::float8,
                   extract(epoch FROM max(at) FILTER (WHERE direction = 'down'))::float8,
                   extract(epoch FROM clock_timestamp())::float8
            FROM autoscale_scalingevent WHERE target = %s
            """,
            [target],
        )
        up, down, now = cursor.fetchone()
        return Changes(up, down), now


def record(target: str, before: int, after: int, *, reason: str, emergency: bool, measures: Mapping[str, Any]) -> int:
    """A change that is about to be carried out. Returns its id."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO autoscale_scalingevent
                (at, target, direction, before, after, emergency, reason, measures, error)
            VALUES (clock_timestamp(), %s, %s, %s, %s, %s, %s, %s, '') RETURNING id
            """,
            [target, "up" if after > before else "down", before, after, emergency, reason[:300], json.dumps(measures)],
        )
        event_id: int = cursor.fetchone()[0]
        return event_id


def failed(event_id: int, error: str) -> None:
    """The change could not be carried out."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE autoscale_scalingevent SET error = %s WHERE id = %s", [error[:2_000], event_id])


def latest(most: int) -> list[dict[str, Any]]:
    """The newest changes, newest first, as their rows are."""
    return [{**row} for row in ScalingEvent.objects.order_by("-id").values()[:most]]
