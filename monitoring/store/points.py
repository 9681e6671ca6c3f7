"""What frames say about groups of series, as points.

Note [A column for each group]
Frames are read once, and each group is a column of the statement. A row for each group and frame, which is grouped
again by its point, takes 4 to 10 times as long (measured in the processor time of PostgreSQL, over a day and over 400).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice

from django.db import connection

from monitoring.core.frames import TIERS, Reading

#: groups of one statement: three columns each, of the 1,664 that PostgreSQL allows
MOST_GROUPS = 300

#: (end of the step in seconds since the epoch, mean, low, high)
Point = tuple[float, float, float, float]


def read_points(
    groups: Mapping[int, Sequence[int]], reading: Reading, *, since: datetime, until: datetime, add_up: bool
) -> dict[int, list[Point]]:
    """The points of groups of series, in the order of time; what is unknown is left out.

    groups: number of a group → places of its series. add_up: the series of a group are added up; otherwise their mean
    is taken, and the lowest and the highest of them.
    """
    found: dict[int, list[Point]] = {group: [] for group in groups}
    whole = list(groups.items())
    for start in range(0, len(whole), MOST_GROUPS):
        some = [(group, sorted(map(int, places))) for group, places in islice(whole, start, start + MOST_GROUPS)]
        columns = ", ".join(_columns(places, reading, add_up=add_up) for _, places in some)
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                SELECT (extract(epoch FROM at)::int8 + %(step)s - 1) / %(step)s * %(step)s AS point, {columns}
                FROM monitoring_frame
                WHERE tier = %(tier)s AND at > %(since)s AND at <= %(until)s
                GROUP BY point ORDER BY point
                """,  # noqa: S608  (numbers of places, and names from here)
                {"tier": reading.tier.seconds, "step": reading.step, "since": since, "until": until},
            )
            for at, *numbers in cursor.fetchall():
                for place, (group, _) in enumerate(some):
                    mean, low, high = numbers[3 * place : 3 * place + 3]
                    if mean is not None and low is not None and high is not None:
                        found[group].append((float(at), mean, low, high))
    return found


def _columns(places: Sequence[int], reading: Reading, *, add_up: bool) -> str:
    """The mean, the lowest and the highest value of one group over a step."""
    if not places:
        return "NULL::float8, NULL::float8, NULL::float8"
    means = [f"mean[{place}]" for place in places]
    lows, highs = means, means
    if reading.tier is not TIERS[0]:
        # Frames of the finest tier have a mean alone.
        lows = [f"coalesce(low[{place}], mean[{place}])" for place in places]
        highs = [f"coalesce(high[{place}], mean[{place}])" for place in places]
    mean = _sum(means) if add_up or len(places) == 1 else f"{_sum(means)} / ({_known(means)})"
    low = _sum(lows) if add_up else f"least({', '.join(lows)})"
    high = _sum(highs) if add_up else f"greatest({', '.join(highs)})"
    return f"avg({mean})::float8, min({low})::float8, max({high})::float8"


def _sum(values: Sequence[str]) -> str:
    """Of those that are known; NULL if none is."""
    if len(values) == 1:
        return values[0]
    added = " + ".join(f"coalesce({value}, 0)" for value in values)
    return f"CASE WHEN coalesce({', '.join(values)}) IS NOT NULL THEN {added} END"


def _known(values: Sequence[str]) -> str:
    """How many of them are known. No function could say it: one takes a hundred arguments, and a group may have more
    series."""
    return " + ".join(f"({value} IS NOT NULL)::int" for value in values)
