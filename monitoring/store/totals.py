"""What the counters have counted in all, and the newest values of everything else: what one scrape reads.

Note [Totals]
A counter of a process begins at 0 again with each process, and the reports are gone after a crash or a failover of
PostgreSQL. A sum over the reports would fall then, and whoever scrapes it would take the next scrape for a huge rise.
So the collector adds what was counted in its tick to one row, in the transaction that writes the frame. The row only
rises, whoever leads and whichever process ends; what nobody saw is left out, and nothing is counted twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest frame of the finest tier, and the totals. age: seconds since the end of its tick, by the database's
    clock. The values are by the series' places; None: unknown."""

    at: datetime
    age: float
    values: Sequence[float | None]
    totals: Sequence[float | None]


def add_totals(at: datetime, counted: Sequence[float | None], *, seconds: float, tick: int) -> None:
    """Add what was counted up to this tick, by place. Within the transaction that writes the frame.

    seconds: over which it was counted. A process that was frozen for longer than the time since the last tick that was
    added (others have added theirs) adds its share of that time only.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO monitoring_total AS t (id, at, values) VALUES (1, %(at)s, %(counted)s::float8[])
            ON CONFLICT (id) DO UPDATE SET at = excluded.at, values = ARRAY(
                SELECT CASE WHEN b.old IS NULL AND b.new IS NULL THEN NULL
                            ELSE coalesce(b.old, 0) + coalesce(b.new, 0) * CASE
                                WHEN %(seconds)s <= extract(epoch FROM excluded.at - t.at) + %(tick)s THEN 1
                                ELSE extract(epoch FROM excluded.at - t.at)::float8 / %(seconds)s END
                       END
                FROM unnest(t.values, excluded.values) WITH ORDINALITY AS b (old, new, place)
                ORDER BY b.place)
            WHERE t.at < excluded.at
            """,
            {"at": at, "counted": list(counted), "seconds": seconds, "tick": tick},
        )


def read_latest(tick: int) -> Latest | None:
    """One statement, whatever there is to read. None: no frame was written yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT f.at, extract(epoch FROM clock_timestamp() - f.at)::float8, f.mean::float8[],
                   coalesce((SELECT values FROM monitoring_total), '{}')
            FROM monitoring_frame f WHERE f.tier = %s ORDER BY f.at DESC LIMIT 1
            """,
            [tick],
        )
        row = cursor.fetchone()
        return None if row is None else Latest(*row)
