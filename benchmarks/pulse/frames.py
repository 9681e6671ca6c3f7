"""Frames as of a site that has been watched for as long as they are kept, made from those that were just measured."""

from contextlib import closing
from dataclasses import dataclass

import psycopg2

from monitoring.core.frames import TIERS

from ..errors import BenchmarkError

# Each number is another one than in the frame that it is made from, by up to a half: frames must not compress better
# than those of a site at work.
_FILL = """
INSERT INTO monitoring_frame (tier, at, mean, low, high, last)
SELECT %(tier)s, n.at, v.mean,
       CASE WHEN %(coarse)s THEN v.mean END, CASE WHEN %(coarse)s THEN v.mean END, CASE WHEN %(coarse)s THEN v.mean END
FROM (SELECT mean FROM monitoring_frame WHERE tier = %(finest)s ORDER BY at DESC LIMIT 1) newest,
     generate_series(date_bin(make_interval(secs => %(tier)s), now(), 'epoch') - make_interval(secs => %(kept)s),
                     now() - interval '1 hour', make_interval(secs => %(tier)s)) AS n (at),
     LATERAL (SELECT array_agg((value * (0.5 + random()))::real ORDER BY place) AS mean
              FROM unnest(newest.mean) WITH ORDINALITY AS u (value, place)
              WHERE n.at IS NOT NULL) v
ON CONFLICT DO NOTHING
"""
_SIZES = """
SELECT tier, count(*), sum(pg_column_size(mean) + coalesce(pg_column_size(low), 0) + coalesce(pg_column_size(high), 0)
                           + coalesce(pg_column_size(last), 0))
FROM monitoring_frame GROUP BY tier
"""


@dataclass(frozen=True, slots=True)
class Storage:
    """bytes: of the table with its index, as long as frames are kept. day: of the frames that are made in a day, by
    their share of it. series: in each frame."""

    bytes: float
    day: float
    series: int
    rows: int


def fill(database: str) -> Storage:
    """Make them, and measure what they take on disk. Takes a minute or so. Raises BenchmarkError."""
    with closing(psycopg2.connect(database, connect_timeout=5)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for tier in TIERS:
                cursor.execute(
                    _FILL,
                    {
                        "tier": tier.seconds,
                        "kept": tier.kept,
                        "finest": TIERS[0].seconds,
                        "coarse": tier is not TIERS[0],
                    },
                )
            cursor.execute("VACUUM ANALYZE monitoring_frame")
            cursor.execute(_SIZES)
            sizes = {tier: (rows, float(size)) for tier, rows, size in cursor.fetchall()}
            cursor.execute("SELECT pg_total_relation_size('monitoring_frame'), max(id) FROM monitoring_series")
            total, series = cursor.fetchone() or (0, 0)
    if len(sizes) != len(TIERS):
        raise BenchmarkError("There is no frame yet to make others from.")
    values = sum(size for _, size in sizes.values())
    # Headers, indexes and free room are shared out as the values are.
    over = float(total) / values
    day = sum(sizes[tier.seconds][1] / sizes[tier.seconds][0] * 86_400 / tier.seconds for tier in TIERS)
    return Storage(float(total), over * day, int(series), sum(rows for rows, _ in sizes.values()))


def transactions(database: str) -> int:
    """How many the database has committed so far."""
    with closing(psycopg2.connect(database, connect_timeout=5)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
        return int((cursor.fetchone() or (0,))[0])
