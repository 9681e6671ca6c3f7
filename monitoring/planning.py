"""What the planner rests on: this deployment's own frames, and how large its tables are."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from monitoring import store
from monitoring.core.frames import TIERS, Reading
from monitoring.core.planning.sizing import DATABASE, KINDS, Seen, Tables
from monitoring.store import work
from monitoring.store.lines import Asked, Stretch, read_lines

#: points that are read at the most
_POINTS: Final = 1_000
_BUCKETS: Final = Asked("erip_step_wait_seconds_bucket", ("le",), {"lane": "critical"})
_ASKED: Final = (
    Asked("erip_runs_accepted_total", ("workflow",)),
    Asked("erip_events_logged_total"),
    Asked("erip_process_cpu_seconds_total", ("component",)),
    Asked("erip_processes", ("component",)),
    Asked("erip_process_memory_bytes", ("component",)),
    Asked("erip_db_connections_in_use", ("component",)),
    Asked("erip_db_connections_idle", ("component",)),
    *(Asked(name) for name in DATABASE),
    _BUCKETS,
)
_SIZES: Final = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)) FILTER (WHERE c.relname LIKE 'workflows\\_%%'), 0)::float8,
       sum(nullif(c.reltuples, -1)) FILTER (WHERE c.relname ~ '^workflows_(workflowrun|archivedrun)')::float8,
       coalesce(sum(pg_total_relation_size(c.oid)) FILTER (WHERE c.relname LIKE 'events\\_%%'), 0)::float8,
       sum(nullif(c.reltuples, -1)) FILTER (WHERE c.relname ~ '^events_log')::float8
FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
"""


def reading_of(span: float) -> Reading:
    """Points over so many seconds: as fine as there are frames for all of it, a minute at the least unless it is
    short. A run is counted some seconds after it used what it used: shorter points would miss one another."""
    tier = next((one for one in TIERS if one.kept >= span), TIERS[-1])
    step = max(tier.seconds, 60 if span > 3_600 else 20, int(span / _POINTS))
    return Reading(tier, -(-step // tier.seconds) * tier.seconds)


def seen(
    since: datetime, until: datetime, *, percentile: int | None = None, reading: Reading | None = None
) -> list[Seen]:
    """What was seen in this time, point by point; those in which nobody knows the runs or the processes are left out.
    percentile: of the wait of critical steps. reading: in which points; None: as fine as is good.
    Raises django.db.Error."""
    reading = reading or reading_of((until - since).total_seconds())
    lines = read_lines(_ASKED, store.read_series(), reading, since=since, until=until)
    tables = [_by_moment([one for one in lines if one.number == number]) for number in range(len(_ASKED))]
    found = []
    for at in sorted(tables[0].keys() & tables[2].keys() & tables[3].keys()):
        runs, events, cpu, processes, memory, used, idle, *database, buckets = (one.get(at, {}) for one in tables)
        found.append(
            Seen(
                workflows=runs,
                events=events.get(""),
                cores=_of_kinds(cpu),
                processes=_of_kinds(processes),
                memory=_of_kinds(memory),
                connections=_of_kinds({name: used[name] + idle.get(name, 0.0) for name in used}),
                database={name: one[""] for name, one in zip(DATABASE, database, strict=True) if "" in one},
                wait=None if percentile is None else wait_of(buckets, percentile),
            )
        )
    return found


def seen_lately(days: float, *, percentile: int | None = None) -> list[Seen]:
    """What was seen in the last days, by the database's clock."""
    until = work.clock()
    return seen(until - timedelta(days=days), until, percentile=percentile)


def tables() -> Tables:
    """How large the tables are. Raises django.db.Error."""
    with connection.cursor() as cursor:
        cursor.execute(_SIZES)
        return Tables(*cursor.fetchone())


def wait_of(buckets: Mapping[str, float], percentile: int) -> float | None:
    """The upper bound of the bucket in which the percentile is: it was at most that (infinite: beyond all bounds).
    None: nothing was taken in this time."""
    bounds = sorted((float(le), rate) for le, rate in buckets.items())
    if not bounds or bounds[-1][1] <= 0:
        return None
    wanted = bounds[-1][1] * percentile / 100
    return next(bound for bound, rate in bounds if rate >= wanted)


def _by_moment(lines: Sequence[Stretch]) -> dict[float, dict[str, float]]:
    found: dict[float, dict[str, float]] = {}
    for one in lines:
        name = one.values[0] if one.values else ""
        for at, mean, _low, _high in one.points:
            found.setdefault(at, {})[name] = mean
    return found


def _of_kinds(values: Mapping[str, float]) -> dict[str, float]:
    return {kind: values[kind] for kind in KINDS if kind in values}
