"""Several metrics over time, with the series that they are made of: one statement for all lines of a page."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from monitoring.core.frames import TIERS, Reading


@dataclass(frozen=True, slots=True)
class Asked:
    """One metric. by: names of labels, a line for each of their values; none: one line in all. where: only series with
    these labels."""

    metric: str
    by: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stretch:
    """One line. number: of what was asked. values: of the labels. rate: it is a counter's rate per second. points:
    (end of the step in seconds since the epoch, mean, low, high); what is unknown is left out."""

    number: int
    values: tuple[str, ...]
    rate: bool
    points: Sequence[tuple[float, float, float, float]]


# The series of a line are added up. Frames are read once, and few places are looked up in each: a copy of the frames
# (MATERIALIZED, or unpacked first) took ten times as long at 1,200 series.
_LINES = """
WITH asked AS (
    SELECT * FROM unnest(%(metrics)s::text[], %(by)s::jsonb[], %(labels)s::jsonb[]) WITH ORDINALITY
        AS n (metric, by, labels, number)
), labelled AS MATERIALIZED (
    SELECT a.number, s.id AS place, s.rate, ARRAY(
        SELECT coalesce(s.labels ->> b.name, '')
        FROM jsonb_array_elements_text(a.by) WITH ORDINALITY AS b (name, ord) ORDER BY b.ord) AS line
    FROM asked a JOIN monitoring_series s ON s.metric = a.metric AND s.labels @> a.labels
), lines AS MATERIALIZED (
    SELECT number, line, bool_or(rate) AS rate, row_number() OVER (ORDER BY number, min(place)) AS grp
    FROM labelled GROUP BY number, line
), places AS MATERIALIZED (
    SELECT l.grp, p.place FROM labelled p JOIN lines l USING (number, line)
), each AS (
    SELECT p.grp, f.at, sum(f.mean[p.place]) AS mean, {low} AS low, {high} AS high
    FROM monitoring_frame f, places p
    WHERE f.tier = %(tier)s AND f.at > %(since)s AND f.at <= %(until)s
    GROUP BY p.grp, f.at
), points AS (
    SELECT grp, ceil(extract(epoch FROM at) / %(step)s) * %(step)s AS point,
           avg(mean)::float8 AS mean, min(low)::float8 AS low, max(high)::float8 AS high
    FROM each GROUP BY grp, point
)
SELECT l.grp, l.number - 1, l.line, l.rate, p.point::float8, p.mean, p.low, p.high
FROM lines l LEFT JOIN points p USING (grp) ORDER BY l.grp, p.point
"""


def column_sum(column: str, reading: Reading) -> str:
    """The lowest or highest values of a line's series, added up. Frames of the finest tier have a mean alone, and to
    take a value out of a long array is most of what a query costs."""
    if reading.tier is TIERS[0]:
        return "sum(f.mean[p.place])"
    return f"sum(coalesce(f.{column}[p.place], f.mean[p.place]))"


def read_lines(asked: Sequence[Asked], reading: Reading, *, since: datetime, until: datetime) -> list[Stretch]:
    """The lines of all that is asked, in its order. A metric that is not kept has none; one that is kept has its lines,
    also without a point."""
    with connection.cursor() as cursor:
        cursor.execute(
            _LINES.format(low=column_sum("low", reading), high=column_sum("high", reading)),
            {
                "metrics": [one.metric for one in asked],
                "by": [json.dumps(one.by) for one in asked],
                "labels": [json.dumps(dict(one.where)) for one in asked],
                "tier": reading.tier.seconds,
                "step": reading.step,
                "since": since,
                "until": until,
            },
        )
        found: dict[int, Stretch] = {}
        points: dict[int, list[tuple[float, float, float, float]]] = {}
        for line, number, values, rate, at, mean, low, high in cursor.fetchall():
            if line not in found:
                points[line] = []
                found[line] = Stretch(number, tuple(values), rate, points[line])
            if mean is not None and low is not None and high is not None:
                points[line].append((at, mean, low, high))
    return list(found.values())
