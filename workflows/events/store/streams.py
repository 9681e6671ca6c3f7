"""What streams read: the log from a cursor on, and who is listening."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db import connection

from workflows.events.conf import conf

#: seconds after which a listener is not expected to come back
REMEMBERED = 600.0
#: the row that says that somebody listens at all, to any type
ANYBODY = "(anybody)"
#: the channel that notifies processes with listeners that the log has grown
LOGGED_CHANNEL = "erip_logged"


@dataclass(frozen=True, slots=True)
class Line:
    """An event of the log, as streams see it."""

    partition: int
    position: int
    type: str
    source: str
    subject: str | None
    #: the whole CloudEvent in structured JSON
    text: str


def streamed_types() -> list[str]:
    """Types of lifecycle events that somebody listens to, or listened to within the last minutes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT type FROM events_streamedtype WHERE seen_at > now() - make_interval(secs => %s)", [REMEMBERED]
        )
        return [row[0] for row in cursor.fetchall()]


def see_types(types: Collection[str]) -> None:
    """Record that somebody listens to these types now."""
    with connection.cursor() as cursor:
        # Always in the same order, or two processes could wait for each other.
        cursor.execute(
            """
            INSERT INTO events_streamedtype (type, seen_at) SELECT t, clock_timestamp() FROM unnest(%s::text[]) AS t
            ORDER BY t ON CONFLICT (type) DO UPDATE SET seen_at = excluded.seen_at
            """,
            [sorted({*types, ANYBODY})],
        )


def anybody_listens(*, within: float) -> bool:
    """Whether a process has said within the last `within` seconds that it has listeners."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM events_streamedtype WHERE type = %s"
            " AND seen_at > now() - make_interval(secs => %s))",
            [ANYBODY, within],
        )
        return bool(cursor.fetchone()[0])


def announce() -> None:
    """Notify the processes with listeners that the log has grown."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [LOGGED_CHANNEL])


def ends() -> dict[int, int]:
    """The position that the next event gets, by partition; partitions that the first consumer has yet to create count
    too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT number, position FROM events_partition")
        return {**dict.fromkeys(range(conf().partitions), 0), **dict(cursor.fetchall())}


def begins() -> dict[int, int]:
    """The position of the first event that the log still has, by partition; of the next event, if it has none."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT p.number, coalesce((SELECT e.position FROM events_event e WHERE e.partition = p.number
                                       ORDER BY e.position LIMIT 1), p.position)
            FROM events_partition p
            """
        )
        return dict(cursor.fetchall())


def read(first: Mapping[int, int], until: Mapping[int, int] | None, *, most: int) -> list[Line]:
    """Up to `most` events of each partition, from `first` on, and below `until` if given; a partition's events in its
    order."""
    numbers = sorted(first)
    bounds = [until.get(number, 0) if until is not None else None for number in numbers]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT e.partition, e.position, e.type, e.source, e.subject, e.event
            FROM unnest(%s::int[], %s::bigint[], %s::bigint[]) AS p (number, first, until)
            CROSS JOIN LATERAL (
                SELECT * FROM events_event l
                WHERE l.partition = p.number AND l.position >= p.first AND (p.until IS NULL OR l.position < p.until)
                ORDER BY l.position LIMIT %s
            ) e
            ORDER BY e.logged_at, e.partition, e.position
            """,
            [numbers, [first[number] for number in numbers], bounds, most],
        )
        return [Line(*row) for row in cursor.fetchall()]
