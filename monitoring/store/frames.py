"""Frames and the series in them: Note [Frames] in `monitoring.core.frames`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from django.db import connection, transaction

from monitoring.core.frames import TIERS
from monitoring.core.series import Series

#: for which PostgreSQL waits for a process that stands still within a transaction that writes a frame, or gives places
#: to series. The others wait for its locks meanwhile, and wake nobody. The limit for all transactions is a minute.
IDLE = "4s"


@dataclass(frozen=True, slots=True)
class Known:
    """A series and its place in the frames. rate: it is a counter, kept as its rate per second."""

    id: int
    series: Series
    rate: bool


def read_series(metric: str | None = None) -> list[Known]:
    """All series, or those of one metric."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, metric, labels::text, rate FROM monitoring_series WHERE %s::text IS NULL OR metric = %s"
            " ORDER BY id",
            [metric, metric],
        )
        return [
            Known(place, Series(name, tuple(sorted(json.loads(labels).items()))), rate)
            for place, name, labels, rate in cursor.fetchall()
        ]


def learn_series(new: Iterable[tuple[Series, bool]]) -> None:
    """Give each of these series a place, unless it has one by now. At most one process does so at a time."""
    rows = list(new)
    if not rows:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('idle_in_transaction_session_timeout', %s, true),"
            " pg_advisory_xact_lock(hashtext('monitoring_series'))",
            [IDLE],
        )
        cursor.execute(
            """
            INSERT INTO monitoring_series (id, metric, labels, rate)
            SELECT (SELECT coalesce(max(id), 0) FROM monitoring_series) + row_number() OVER (ORDER BY n.ord),
                   n.metric, n.labels, n.rate
            FROM unnest(%s::text[], %s::jsonb[], %s::bool[]) WITH ORDINALITY AS n (metric, labels, rate, ord)
            WHERE NOT EXISTS (SELECT 1 FROM monitoring_series o WHERE o.metric = n.metric AND o.labels = n.labels)
            """,
            [
                [series.metric for series, _ in rows],
                [json.dumps(dict(series.labels)) for series, _ in rows],
                [rate for _, rate in rows],
            ],
        )


def append_frame(at: datetime, values: Sequence[float | None]) -> bool:
    """Write the frame of the finest tier that ends at `at`. Returns False if another process wrote it.

    The transaction that it belongs to is ended by the server if this process stands still in it: IDLE.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_frame (tier, at, mean) SELECT %s, %s, %s::real[]"
            " FROM set_config('idle_in_transaction_session_timeout', %s, true) ON CONFLICT DO NOTHING",
            [TIERS[0].seconds, at, list(values), IDLE],
        )
        return bool(cursor.rowcount == 1)


def has_frame(at: datetime) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM monitoring_frame WHERE tier = %s AND at = %s", [TIERS[0].seconds, at])
        return cursor.fetchone() is not None


def newest_frame() -> datetime | None:
    """When the newest frame of the finest tier ended."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(at) FROM monitoring_frame WHERE tier = %s", [TIERS[0].seconds])
        at: datetime | None = cursor.fetchone()[0]
        return at


def roll_up(now: datetime, *, most: int) -> int:
    """Make the missing frames of the coarser tiers that have ended by `now`, `most` of each. Returns how many.

    What was not made because nobody was there to do so is made later, as long as the finer frames are kept.
    """
    made = 0
    for finer, tier in pairwise(TIERS):
        with connection.cursor() as cursor:
            cursor.execute(
                _ROLL_UP,
                {"finer": finer.seconds, "tier": tier.seconds, "kept": finer.kept, "now": now, "most": most},
            )
            made += cursor.rowcount
            if cursor.rowcount >= most:
                # There may be more of these to make, and what is made of them must wait for them.
                break
    return made


# A period is due when it has ended, and has frames later than the newest frame of the coarser tier. The mean of means
# is exact where all frames are there; a frame that is missing is left out. `first_value` by descending time is the last
# known value.
_ROLL_UP = """
WITH newest AS (
    SELECT coalesce(max(at), '-infinity') AS at FROM monitoring_frame WHERE tier = %(tier)s
), due AS (
    SELECT DISTINCT to_timestamp(ceil(extract(epoch FROM f.at) / %(tier)s) * %(tier)s) AS at
    FROM monitoring_frame f, newest
    WHERE f.tier = %(finer)s AND f.at > newest.at AND f.at <= %(now)s
      AND f.at > %(now)s - make_interval(secs => %(kept)s)
    ORDER BY 1 LIMIT %(most)s
), numbers AS (
    SELECT d.at, v.place,
           avg(v.mean) AS mean, min(coalesce(v.low, v.mean)) AS low, max(coalesce(v.high, v.mean)) AS high,
           (array_agg(coalesce(v.last, v.mean) ORDER BY f.at DESC) FILTER (WHERE v.mean IS NOT NULL))[1] AS last
    FROM due d
    JOIN monitoring_frame f ON f.tier = %(finer)s
        AND f.at > d.at - make_interval(secs => %(tier)s) AND f.at <= d.at,
    LATERAL unnest(f.mean, f.low, f.high, f.last) WITH ORDINALITY AS v (mean, low, high, last, place)
    WHERE d.at <= %(now)s
    GROUP BY d.at, v.place
)
INSERT INTO monitoring_frame (tier, at, mean, low, high, last)
SELECT %(tier)s, at, array_agg(mean::real ORDER BY place), array_agg(low::real ORDER BY place),
       array_agg(high::real ORDER BY place), array_agg(last::real ORDER BY place)
FROM numbers GROUP BY at
ON CONFLICT DO NOTHING
"""


def drop_old_frames(now: datetime, *, most: int) -> int:
    """Forget frames that are past their tier's time, `most` at once. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM monitoring_frame WHERE ctid = ANY(ARRAY(
                SELECT f.ctid FROM unnest(%s::smallint[], %s::int[]) AS t (tier, kept)
                JOIN monitoring_frame f ON f.tier = t.tier AND f.at <= %s - make_interval(secs => t.kept)
                LIMIT %s))
            """,
            [[tier.seconds for tier in TIERS], [tier.kept for tier in TIERS], now, most],
        )
        count: int = cursor.rowcount
        return count


def read_at(groups: Mapping[int, Sequence[int]], *, tier: int, at: Sequence[int]) -> dict[tuple[int, int], float]:
    """The sums of groups of series in single frames: (group, end of the frame) → sum. What is unknown is left out.

    groups: number of a group → places of its series. at: ends of frames, in seconds since the epoch.
    """
    pairs = [(group, place) for group, places in groups.items() for place in places]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT p.grp, extract(epoch FROM f.at)::int8, sum(f.mean[p.place])::float8
            FROM monitoring_frame f, unnest(%s::int[], %s::int[]) AS p (grp, place)
            WHERE f.tier = %s AND f.at = ANY(SELECT to_timestamp(one) FROM unnest(%s::float8[]) AS one)
            GROUP BY p.grp, f.at HAVING sum(f.mean[p.place]) IS NOT NULL
            """,
            [[group for group, _ in pairs], [place for _, place in pairs], tier, list(at)],
        )
        return {(group, moment): value for group, moment, value in cursor.fetchall()}


def read_mean(groups: Mapping[int, Sequence[int]], *, tier: int, since: float, until: float) -> dict[int, float]:
    """The mean over this time of the sums of groups of series. since, until: seconds since the epoch."""
    pairs = [(group, place) for group, places in groups.items() for place in places]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT grp, avg(total)::float8 FROM (
                SELECT p.grp, f.at, sum(f.mean[p.place]) AS total
                FROM monitoring_frame f, unnest(%s::int[], %s::int[]) AS p (grp, place)
                WHERE f.tier = %s AND f.at > to_timestamp(%s) AND f.at <= to_timestamp(%s)
                GROUP BY p.grp, f.at) each
            GROUP BY grp HAVING avg(total) IS NOT NULL
            """,
            [[group for group, _ in pairs], [place for _, place in pairs], tier, since, until],
        )
        return dict(cursor.fetchall())
