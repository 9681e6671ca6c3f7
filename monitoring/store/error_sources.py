"""Failures that the engine and the event bus have stored, read once each.

Note [Cursors]
A failed attempt, a dead letter and a delivery that was given up are rows already, so the hot path does nothing for
their groups: they are read behind it, by their ids (a delivery by its end), from where the last reading ended. Ids are
not committed in their order. So a reading goes up to a bound, which is fixed first: the highest id that is visible.
Whoever has taken a lower id, and has not committed yet, holds a lock on the table until it has; those who hold one when
the bound was fixed are noted, and the rows up to the bound are read once none of them holds it any more. The rows are
read and grouped, and the cursor moved, in one transaction: each is counted once, whatever is killed.

A transaction that never ends must not hold this up for ever: after PATIENCE it goes on without it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

#: seconds after which an open transaction is not waited for any more
PATIENCE = 600.0
#: ids that are looked at in one reading
WINDOW = 2_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reading begins and ends: positions `after` < p <= `until`. more: whether there is more to be read."""

    source: str
    after: int
    until: int
    more: bool


@dataclass(frozen=True, slots=True)
class FailedAttempts:
    """Equal failures of a step in one minute."""

    version_id: int | None
    workflow: str
    version: int
    step: str
    error: Any
    traceback: str
    count: int
    first: datetime
    last: datetime
    #: of the newest runs; the last one is the newest
    runs: Sequence[str]


@dataclass(frozen=True, slots=True)
class Letter:
    id: int
    at: datetime
    effect: str
    target: str
    code: str
    message: str
    type: str


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A delivery. status: of the last answer, if there was one."""

    id: int
    at: datetime
    url: str
    type: str
    status: int | None
    error: str


#: source → the table, and its highest position
_TABLES = {
    "attempt": ("workflows_runevent", "SELECT coalesce(max(id), 0) FROM workflows_runevent"),
    "dead_letter": ("events_deadletter", "SELECT coalesce(max(id), 0) FROM events_deadletter"),
    "delivery": ("events_delivery", "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"),
}
SOURCES = tuple(_TABLES)


def take_place(source: str, *, window: int = WINDOW) -> Place | None:
    """Where to read now; None if there is nothing new, or if somebody else reads. Within a transaction: the cursor is
    locked until its end."""
    table, highest = _TABLES[source]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_errorcursor (source, position, bound, writers, bounded_at)"
            " VALUES (%s, 0, 0, '{}', clock_timestamp()) ON CONFLICT (source) DO NOTHING",
            [source],
        )
        cursor.execute(
            "SELECT position, bound, writers, bounded_at < clock_timestamp() - make_interval(secs => %s)"
            " FROM monitoring_errorcursor WHERE source = %s FOR UPDATE SKIP LOCKED",
            [PATIENCE, source],
        )
        row = cursor.fetchone()
        if row is None:
            return None
        position, bound, writers, late = row
        if position >= bound:
            cursor.execute(highest)
            bound = max(position, cursor.fetchone()[0])
            if bound == position:
                return None
            writers, late = _writers(cursor, table), False
            cursor.execute(
                "UPDATE monitoring_errorcursor SET bound = %s, writers = %s, bounded_at = clock_timestamp()"
                " WHERE source = %s",
                [bound, writers, source],
            )
        if writers and not late and set(writers) & set(_writers(cursor, table)):
            return None
        until = bound if source == "delivery" else min(bound, position + window)
        return Place(source, position, until, more=until < bound)


def move(place: Place, *, until: int | None = None) -> None:
    """What stands in this place has been read. Within the transaction that took it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE monitoring_errorcursor SET position = %s WHERE source = %s",
            [place.until if until is None else until, place.source],
        )


def failed_attempts(place: Place) -> Iterator[FailedAttempts]:
    """Failed, uncertain and lost attempts, equal ones together."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH failed AS MATERIALIZED (
                SELECT e.run_id, e.step, e.at, e.detail -> 'error' AS error,
                       coalesce(e.detail -> 'trace' ->> 'traceback', '') AS traceback
                FROM workflows_runevent e
                WHERE e.id > %s AND e.id <= %s AND e.type IN ('step.attempt_failed', 'step.unknown', 'step.lost'))
            SELECT v.id, coalesce(r.workflow, ''), coalesce(v.number, 0), coalesce(f.step, ''), f.error::text,
                   f.traceback, count(*), min(f.at), max(f.at), array_agg(DISTINCT f.run_id)
            FROM failed f
            LEFT JOIN workflows_workflowrun r ON r.id = f.run_id
            LEFT JOIN workflows_workflowversion v ON v.id = r.version_id
            GROUP BY v.id, r.workflow, v.number, f.step, f.error::text, f.traceback, date_trunc('minute', f.at)
            ORDER BY min(f.at)
            """,
            [place.after, place.until],
        )
        for version_id, workflow, version, step, error, traceback, count, first, last, runs in cursor.fetchall():
            # Ids of runs sort by their time.
            newest = [str(run) for run in sorted(runs)[-20:]]
            yield FailedAttempts(version_id, workflow, version, step, error, traceback, count, first, last, newest)


def version_number(version_id: int) -> int | None:
    """The number of a version of a workflow."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT number FROM workflows_workflowversion WHERE id = %s", [version_id])
        row = cursor.fetchone()
        return None if row is None else int(row[0])


def dead_letters(place: Place) -> Iterator[Letter]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, at, effect, coalesce(target, ''), code, left(message, 2000), left(type, 200)"
            " FROM events_deadletter WHERE id > %s AND id <= %s ORDER BY id",
            [place.after, place.until],
        )
        for row in cursor.fetchall():
            yield Letter(*row)


def given_up(place: Place, *, limit: int = WINDOW) -> tuple[list[GivenUp], int]:
    """Deliveries that were given up, and up to which position they are all there."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT d.id, d.finished_at, left(s.url, 2048), left(d.type, 200), a.status, coalesce(a.error, '')
            FROM (SELECT id, finished_at, subscription_id, type, attempts FROM events_delivery
                  WHERE finished_at > %s AND finished_at <= %s AND state = 'FAILED'
                  ORDER BY finished_at LIMIT %s) d
            JOIN events_subscription s ON s.id = d.subscription_id
            LEFT JOIN events_deliveryattempt a ON a.delivery_id = d.id AND a.number = d.attempts
            ORDER BY d.finished_at
            """,
            [_moment(place.after), _moment(place.until), limit],
        )
        found = [GivenUp(*row) for row in cursor.fetchall()]
    return found, place.until if len(found) < limit else _position(found[-1].at)


def _writers(cursor: Any, table: str) -> list[str]:
    """The transactions, other than this one, that write to this table."""
    cursor.execute(
        "SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND relation = %s::regclass"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND mode = 'RowExclusiveLock' AND pid IS DISTINCT FROM pg_backend_pid()",
        [table],
    )
    return [writer for (writer,) in cursor.fetchall()]


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(position: int) -> datetime:
    return _EPOCH + timedelta(microseconds=position)


def _position(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
