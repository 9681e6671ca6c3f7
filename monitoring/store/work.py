"""What waits and what comes in, read from the engine's tables. Every statement here is bounded, whatever is in them."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db import connection

from workflows import store
from workflows.core.lanes import LaneLoad
from workflows.core.states import Lane

#: waiting steps, and deadlines, are counted up to this number: an index is read, and no row of the table
COUNT_TO = 10_000


def clock() -> datetime:
    """Now, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


def lane_loads() -> Mapping[str, LaneLoad]:
    return store.lane_loads(list(Lane), count_to=COUNT_TO)


def runs_accepted(*, since: datetime, until: datetime) -> Mapping[str, int]:
    """How many runs of each workflow were accepted in this time. Ids sort by time: only these runs are read."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT workflow, count(*) FROM workflows_workflowrun WHERE id >= %s AND id < %s GROUP BY workflow",
            [_first_id(since), _first_id(until)],
        )
        return dict(cursor.fetchall())


def events_logged() -> int:
    """How many events took effect so far, by the positions of the partitions."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(sum(position), 0)::int8 FROM events_partition")
        count: int = cursor.fetchone()[0]
        return count


def deadlines(*, within: float) -> tuple[int, int, float | None]:
    """Unfinished runs whose deadline is past, and those whose deadline is past or comes within these seconds, each
    counted up to COUNT_TO; and the seconds to the nearest deadline of all, negative when it is past."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT (SELECT count(*) FROM (
                        SELECT 1 FROM workflows_workflowrun WHERE finished_at IS NULL AND deadline_at IS NOT NULL
                        AND deadline_at < clock_timestamp() LIMIT %s) past),
                   (SELECT count(*) FROM (
                        SELECT 1 FROM workflows_workflowrun WHERE finished_at IS NULL AND deadline_at IS NOT NULL
                        AND deadline_at < clock_timestamp() + make_interval(secs => %s) LIMIT %s) near),
                   (SELECT extract(epoch FROM min(deadline_at) - clock_timestamp())::float8
                    FROM workflows_workflowrun WHERE finished_at IS NULL AND deadline_at IS NOT NULL)
            """,
            [COUNT_TO, within, COUNT_TO],
        )
        past, near, nearest = cursor.fetchone()
        return past, near, nearest


def unknown_steps() -> int:
    """Steps that wait for a person to say how they ended, counted up to COUNT_TO."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT 1 FROM workflows_steprun WHERE state = 'UNKNOWN' LIMIT %s) unknown",
            [COUNT_TO],
        )
        count: int = cursor.fetchone()[0]
        return count


def _first_id(moment: datetime) -> UUID:
    """The smallest UUIDv7 of this millisecond."""
    return UUID(int=round(moment.timestamp() * 1000) << 80)
