"""Processes that lead, or would if the one that leads ended, and what living processes can read.

Note [Silence]
A process that beats lives. One that was silent for a lease is dead, if PostgreSQL was there to beat to: after an outage
of PostgreSQL everybody was silent, and those that live beat again a moment later. So somebody must have known for a
lease, of the same PostgreSQL, that one is silent before it counts as dead: a leader, which then marks workers as
stopped, or, since there may be no leader, the process that asks.
"""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from django.db import connection

from workflows.core import kinds

#: "ERIP" in ASCII: the advisory lock that makes a candidate the leader
LEADER_LOCK = 0x45524950

# The sessions that hold the lock: at most one.
_HOLDERS = """
    SELECT pid FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (classid::bigint << 32 | objid::bigint) = %(lock)s
"""


def leader_lives(leader_id: str, host: str, pid: int, *, session: int, lease: float, forgets: bool = True) -> None:
    """Record that this candidate is alive, and what it reads. Those that were silent for `lease` seconds are forgotten,
    but for the one that holds the lock.

    session: the PostgreSQL process that holds the lock for it, or will. forgets: whether this candidate has known the
    database for a lease (Note [Silence]).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH holders AS ({_HOLDERS}), silent AS (
                DELETE FROM workflows_leader
                WHERE %(forgets)s AND id <> %(id)s::uuid AND heartbeat_at < now() - make_interval(secs => %(lease)s)
                  AND session NOT IN (SELECT pid FROM holders)
            )
            INSERT INTO workflows_leader (id, host, pid, level, session, heartbeat_at)
            VALUES (%(id)s::uuid, %(host)s, %(pid)s, %(level)s, %(session)s, clock_timestamp())
            ON CONFLICT (id) DO UPDATE SET session = excluded.session, heartbeat_at = excluded.heartbeat_at
            """,  # noqa: S608 - a constant of this module
            {
                "lock": LEADER_LOCK,
                "id": leader_id,
                "host": host[:200],
                "pid": pid,
                "level": kinds.level(),
                "session": session,
                "lease": lease,
                "forgets": forgets,
            },
        )


def leader_ends(leader_id: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM workflows_leader WHERE id = %s::uuid", [leader_id])


# those that beat within %(lease)s seconds, and whoever holds the lock
_WITH_LEADERS = f"""
WITH holders AS ({_HOLDERS}),
leaders AS (
    SELECT * FROM workflows_leader
    WHERE heartbeat_at >= now() - make_interval(secs => %(lease)s) OR session IN (SELECT pid FROM holders)
)
"""  # noqa: S608 - a constant of this module


@dataclass(frozen=True, slots=True)
class Living:
    """A worker or a leader at work. said: who it is, in words. host, pid: "" and 0 where it does not say."""

    said: str
    host: str
    pid: int


def living(*, lease: float) -> list[Living]:
    """All of them, whatever they read. Silent for `lease` seconds, one is none: a leader buries workers by the same
    rule, and there may be no leader that does."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            {_WITH_LEADERS}
            SELECT said, host, pid FROM (
                SELECT 1 AS rank, 'worker ' || name AS said, host, pid FROM workflows_worker
                WHERE stopped_at IS NULL AND heartbeat_at >= now() - make_interval(secs => %(lease)s)
                UNION ALL
                SELECT 2, 'leader ' || pid || ' on ' || host, host, pid FROM leaders
                UNION ALL
                SELECT 3, 'the leader', '', 0 FROM holders WHERE pid NOT IN (SELECT session FROM leaders)
            ) AS living
            ORDER BY rank, said
            """,  # noqa: S608 - a constant of this module
            {"lock": LEADER_LOCK, "lease": lease},
        )
        return [Living(*row) for row in cursor.fetchall()]


class Silences:
    """Since when this process knows of each silent one that it is silent (Note [Silence]). For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: dict[str, float] = {}

    def over(self, silent: Collection[str], *, lease: float, now: float) -> frozenset[str]:
        """Those that are dead by now. silent: all that are silent, each as it was heard of last. now: on the monotonic
        clock."""
        with self._lock:
            self._since = {one: self._since.get(one, now) for one in silent}
            return frozenset(one for one, since in self._since.items() if now - since >= lease)


_silences = Silences()


def living_below(
    level: int, *, lease: float, silences: Silences = _silences, clock: Callable[[], float] = time.monotonic
) -> list[str]:
    """The living workers and leaders that cannot read definitions of this format level: who each is, in words. One
    that is silent is among them until it is known to be dead (Note [Silence]): asked again after a lease, this process
    knows.

    A leader of a release that records nothing is seen by the lock that it holds, and counts as one that reads level 1.
    Such a candidate that does not lead is not seen.
    """
    if level <= 1:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH holders AS ({_HOLDERS})
            SELECT who, below, silent, life || ' ' || pg_postmaster_start_time() FROM (
                SELECT 1 AS rank, name AS by, 'worker ' || name AS who, level < %(level)s AS below,
                       heartbeat_at < now() - make_interval(secs => %(lease)s) AS silent,
                       'worker ' || id || ' ' || heartbeat_at AS life
                FROM workflows_worker WHERE stopped_at IS NULL
                UNION ALL
                SELECT 2, host, 'leader ' || pid || ' on ' || host, level < %(level)s,
                       heartbeat_at < now() - make_interval(secs => %(lease)s)
                       AND session NOT IN (SELECT pid FROM holders),
                       'leader ' || id || ' ' || heartbeat_at
                FROM workflows_leader
                UNION ALL
                SELECT 3, '', 'the leader, which does not say what it reads', true, false, '' FROM holders
                WHERE pid NOT IN (SELECT session FROM workflows_leader)
            ) AS known
            ORDER BY rank, by
            """,  # noqa: S608 - a constant of this module
            {"lock": LEADER_LOCK, "level": level, "lease": lease},
        )
        rows = cursor.fetchall()
    dead = silences.over({life for _, _, silent, life in rows if silent}, lease=lease, now=clock())
    return [who for who, below, silent, life in rows if below and not (silent and life in dead)]


def anybody_silent(*, lease: float) -> bool:
    """Whether a worker or a leader is silent that nobody has taken for dead yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT EXISTS (SELECT FROM workflows_worker
                           WHERE stopped_at IS NULL AND heartbeat_at < now() - make_interval(secs => %(lease)s))
                OR EXISTS (SELECT FROM workflows_leader WHERE heartbeat_at < now() - make_interval(secs => %(lease)s))
            """,
            {"lease": lease},
        )
        return bool(cursor.fetchone()[0])
