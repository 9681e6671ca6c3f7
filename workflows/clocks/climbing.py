"""The rungs of clocks that are due, taken as a set.

Note [Next rung]
A clock stores its next rung only, with the moment at which it is due, and that moment is indexed while there is one. So
a look costs the same with ten open clocks and ten thousand: it reads what is due. Taking a rung moves the clock on to
the next one in the same statement; whoever takes it sends in the same transaction, so a leader that is killed between
the two has taken nothing, and two leaders never take the same rung. Rungs after the deadline keep their distance: after
an hour in which no leader looked, the next one is called, and not all at once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from workflows.clocks.reckoning import AFTER, RUNGS, WARN

#: rungs of one look
LIMIT = 2_000


@dataclass(frozen=True, slots=True)
class Climbed:
    """A clock at a rung: `warn`, `breach` or `escalate`. number: of the rung, from 0. due: when the rung was."""

    id: int
    run_id: UUID
    workflow: str
    obligation: str
    duty: dict[str, Any]
    turn: int
    number: int
    due: datetime
    due_at: datetime
    arguable_until: datetime | None

    @property
    def rung(self) -> str:
        return RUNGS[self.number]


def _later(rung: int) -> str:
    """A rung after the deadline: not sooner after the one before than it would be, had nobody stood still meanwhile."""
    after = int(AFTER[rung].total_seconds())
    gap = after - int(AFTER.get(rung - 1, timedelta(0)).total_seconds())
    return (
        f"WHEN {rung - 1} THEN greatest(c.due_at + interval '{after} seconds',"
        f" clock_timestamp() + interval '{gap} seconds')"
    )


_NEXT = " ".join(["CASE d.next_rung", f"WHEN {WARN} THEN c.due_at", *map(_later, AFTER), "END"])
_SQL = f"""
WITH d AS (
    SELECT id, next_rung, next_rung_at FROM clocks_legalclock WHERE next_rung_at <= clock_timestamp()
    ORDER BY next_rung_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE clocks_legalclock c SET next_rung = d.next_rung + 1, next_rung_at = {_NEXT}
FROM d WHERE c.id = d.id
RETURNING c.id, c.run_id, c.workflow, c.obligation, c.duty::text, c.turn, d.next_rung, d.next_rung_at, c.due_at,
          c.arguable_until
"""  # noqa: S608  (made of constants)


def climb(limit: int = LIMIT) -> list[Climbed]:
    """Take what is due. Needs the transaction in which it is announced."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL, [limit])
        rows = cursor.fetchall()
    found = [Climbed(row[0], row[1], row[2], row[3], orjson.loads(row[4]), *row[5:]) for row in rows]
    return sorted(found, key=lambda one: (one.due_at, one.id))
