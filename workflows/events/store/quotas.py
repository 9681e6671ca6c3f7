"""What remains of the sources' quotas: a token bucket and a day's count for each, by the database's clock."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection


@dataclass(frozen=True, slots=True)
class Demand:
    """What a source asks for. rate, burst and daily are its quota's; None: not limited."""

    source: str
    events: int
    rate: float | None
    burst: int | None
    daily: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """daily: whether the day's quota is used up. retry_after: seconds."""

    source: str
    daily: bool
    retry_after: float


def take(demands: Sequence[Demand]) -> Refused | None:
    """Take what is asked for, of all sources, or say which source is over its quota. Needs a transaction, which the
    caller rolls back if a source is refused. Sources are locked in the order of their names.

    A full bucket may go into debt for one request that is larger than the bucket: otherwise such a request could never
    be sent.
    """
    for demand in sorted(demands, key=lambda demand: demand.source):
        size = demand.burst or max(1.0, demand.rate or 0.0)
        with connection.cursor() as cursor:
            cursor.execute(
                _TAKE,
                {
                    "source": demand.source,
                    "events": demand.events,
                    "rate": demand.rate,
                    "size": size,
                    "daily": demand.daily,
                },
            )
            fits, today, tokens, midnight = cursor.fetchone()
        if not today:
            return Refused(demand.source, True, float(midnight))
        if not fits:
            missing = min(demand.events, size) - tokens
            return Refused(demand.source, False, missing / (demand.rate or 1.0))
    return None


# The row is made, then locked, refilled and checked; a refusal leaves it unchanged.
_TAKE = """
INSERT INTO events_sourceusage (source, tokens, at, day, sent)
VALUES (%(source)s, %(size)s, clock_timestamp(), (clock_timestamp() AT TIME ZONE 'UTC')::date, 0)
ON CONFLICT DO NOTHING;
WITH was AS (
    SELECT source, clock_timestamp() AS now,
           CASE WHEN %(rate)s::float8 IS NULL THEN NULL
                ELSE least(%(size)s, tokens + %(rate)s * extract(epoch FROM clock_timestamp() - at)) END AS tokens,
           CASE WHEN day = (clock_timestamp() AT TIME ZONE 'UTC')::date THEN sent ELSE 0 END AS sent
    FROM events_sourceusage WHERE source = %(source)s FOR UPDATE
), judged AS (
    SELECT *, tokens IS NULL OR tokens >= least(%(events)s, %(size)s) AS fits,
           %(daily)s::bigint IS NULL OR sent + %(events)s <= %(daily)s AS today
    FROM was
), taken AS (
    UPDATE events_sourceusage u
    SET tokens = coalesce(j.tokens - %(events)s, u.tokens), at = j.now, day = (j.now AT TIME ZONE 'UTC')::date,
        sent = j.sent + %(events)s
    FROM judged j WHERE u.source = j.source AND j.fits AND j.today
)
SELECT fits, today, tokens,
       extract(epoch FROM date_trunc('day', now AT TIME ZONE 'UTC') + interval '1 day' - (now AT TIME ZONE 'UTC'))
FROM judged
"""
