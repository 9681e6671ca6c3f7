"""Who consumes which partition.

Note [Owners]
`owner_id` is affinity: it says which consumer looks after a partition, so that not all of them look after all
partitions. A consumer is live if it has sent a heartbeat within its lease, by the database's clock; from the list of
live consumers each computes the same shares (`core/assignment`). A consumer that has too much gives it up between two
of its rounds; one that has too little takes partitions that no live consumer owns. All changes are conditional and
raise the epoch.

The lock of the partition's row makes two owners impossible: a round begins by locking the row on condition that its
consumer is still the owner, and reads and writes under that lock. So a former owner that was frozen and wakes up either
finds that the condition no longer holds, or is in the middle of a round; in that case its session, and with it the
round, is ended before the partition is taken.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import connection, transaction

from workflows.journal.store import CHANNEL, OWNERS

#: the name of a consumer's session in PostgreSQL, followed by its worker's id: others find and end the session by it
SESSION = "erip consumer "


@dataclass(frozen=True, slots=True)
class Suspect:
    """The event that is tried next."""

    block: int
    offset: int
    #: whether it had been noted before
    again: bool
    #: how many owners had tried it again before, with nothing else in their process
    tries: int


@dataclass(frozen=True, slots=True)
class Owners:
    #: workers whose lease is good
    live: frozenset[int]
    #: partition → its owner, dead or alive
    owners: dict[int, int | None]


def beat(worker_id: int, *, rate: float | None, lease: float) -> Owners:
    """Record that the consumer lives. Returns who else lives, and who owns what. Needs no transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO events_consumer (worker_id, rate) VALUES (%s, %s) ON CONFLICT (worker_id)
            DO UPDATE SET heartbeat_at = clock_timestamp(), rate = coalesce(excluded.rate, events_consumer.rate)
            """,
            [worker_id, rate],
        )
        cursor.execute(
            """
            SELECT NULL, worker_id FROM events_consumer
            WHERE heartbeat_at > clock_timestamp() - make_interval(secs => %s)
            UNION ALL SELECT number, owner_id FROM events_partition
            """,
            [lease],
        )
        rows = cursor.fetchall()
    return Owners(
        frozenset(worker for number, worker in rows if number is None),
        {number: owner for number, owner in rows if number is not None},
    )


def ensure_partitions(count: int) -> None:
    """Create those of the partitions 0 to count - 1 that do not exist."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_partition (number) SELECT generate_series(0, %s) ON CONFLICT DO NOTHING", [count - 1]
        )


def claim(worker_id: int, partitions: Collection[int], *, lease: float) -> dict[int, int]:
    """Take those of these partitions that no live consumer owns: partition → how many owners have died on it since a
    round last went well. Needs no transaction.

    A partition whose row is locked right now is left for the next time.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE events_partition
            SET owner_id = %(me)s, epoch = epoch + 1, deaths = deaths + (owner_id IS NOT NULL)::int
            WHERE number IN (
                SELECT number FROM events_partition
                WHERE number = ANY(%(numbers)s) AND (owner_id IS NULL OR owner_id NOT IN (
                    SELECT worker_id FROM events_consumer
                    WHERE heartbeat_at > clock_timestamp() - make_interval(secs => %(lease)s)))
                FOR UPDATE SKIP LOCKED)
            RETURNING number, deaths
            """,
            {"me": worker_id, "numbers": sorted(partitions), "lease": lease},
        )
        return dict(cursor.fetchall())


def suspect(worker_id: int, partition: int, *, first: bool) -> Suspect | None:
    """Note which event is tried next, alone. None: nothing waits.

    first: whether this owner has tried nothing of the partition yet; an event that was noted before is then tried again
    by one more owner. Committed before the event is tried, so that it outlives the process.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute(
            """
            WITH head AS (SELECT seq, done FROM events_block WHERE partition = %(number)s ORDER BY seq LIMIT 1),
            before AS (
                SELECT p.suspect_tries AS tries,
                       coalesce(p.suspect_block = head.seq AND p.suspect_offset = head.done, false) AS again
                FROM events_partition p, head WHERE p.number = %(number)s)
            UPDATE events_partition p
            SET suspect_block = head.seq, suspect_offset = head.done,
                suspect_tries = CASE WHEN before.again THEN before.tries + %(first)s::int ELSE 0 END
            FROM head, before WHERE p.number = %(number)s AND p.owner_id = %(me)s
            RETURNING head.seq, head.done, before.again, CASE WHEN before.again THEN before.tries ELSE 0 END
            """,
            {"number": partition, "me": worker_id, "first": first},
        )
        row = cursor.fetchone()
    return Suspect(*row) if row else None


def calm(worker_id: int, partition: int) -> None:
    """Forget the deaths of this partition's owners: their cause has passed, or was not an event."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE events_partition SET deaths = 0, suspect_block = NULL, suspect_offset = NULL, suspect_tries = 0
               WHERE number = %s AND owner_id = %s""",
            [partition, worker_id],
        )


def end_sessions(workers: Collection[int]) -> int:
    """End the PostgreSQL sessions of consumers that are taken for dead. Returns how many sessions."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE application_name = ANY(%s) AND usename = current_user AND pid <> pg_backend_pid()
              AND datname = current_database()
            """,
            [[f"{SESSION}{worker}" for worker in workers]],
        )
        count: int = cursor.fetchone()[0]
        return count


def release(worker_id: int, partitions: Sequence[int]) -> None:
    """Give up these partitions, if this worker owns them, and notify the other consumers. Call it outside of a
    round."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """UPDATE events_partition SET owner_id = NULL, epoch = epoch + 1, suspect_block = NULL
               WHERE number = ANY(%s) AND owner_id = %s""",
            [list(partitions), worker_id],
        )
        cursor.execute(f"SELECT pg_notify('{CHANNEL}', '{OWNERS}')")


def leave(worker_id: int) -> None:
    """The consumer ends: its partitions are free at once."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM events_consumer WHERE worker_id = %s", [worker_id])
        cursor.execute(
            """UPDATE events_partition SET owner_id = NULL, epoch = epoch + 1, suspect_block = NULL
               WHERE owner_id = %s""",
            [worker_id],
        )
        cursor.execute(f"SELECT pg_notify('{CHANNEL}', '{OWNERS}')")


def forget_consumers(*, older_than: float) -> int:
    """Drop the rows of consumers that have been silent for `older_than` seconds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM events_consumer WHERE heartbeat_at < clock_timestamp() - make_interval(secs => %s)",
            [older_than],
        )
        count: int = cursor.rowcount
        return count


def name_session(worker_id: int) -> None:
    """Name this session after its worker, so that others can find and end it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('application_name', %s, false)", [f"{SESSION}{worker_id}"])
