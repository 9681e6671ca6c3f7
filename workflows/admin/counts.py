"""How many runs are in each state: of the newest ones exactly, and of all as PostgreSQL estimates.

Counting millions of rows takes seconds. PostgreSQL's ANALYZE, which runs by itself, keeps how many rows a table has and
how frequent each value of a column is: reading that costs nothing, and is a little old.
"""

from typing import Any

from django.db import connections

from erip.foundation.db.router import reading_alias
from workflows.models.runs import RunColumns

#: runs that are looked at
NEWEST = 1_000


def by_state(model: type[RunColumns], workflow: str | None = None) -> dict[str, Any]:
    """{"counts": {state: how many}, "whole": whether these are all runs there are, "total"}. Reads NEWEST rows.

    workflow: only of its runs.
    """
    where, parameters = ("WHERE workflow = %s", [workflow]) if workflow else ("", [])
    with connections[reading_alias()].cursor() as cursor:
        cursor.execute(
            f"SELECT state, count(*) FROM (SELECT state FROM {model._meta.db_table} {where} "  # noqa: S608
            "ORDER BY id DESC LIMIT %s) newest GROUP BY state ORDER BY count(*) DESC, state",
            [*parameters, NEWEST],
        )
        counts = dict(cursor.fetchall())
    total = sum(counts.values())
    return {"counts": counts, "total": total, "whole": total < NEWEST}


def estimated(model: type[RunColumns]) -> dict[str, Any] | None:
    """{"counts": [(state, about how many)], "total", "at": when that was estimated, if known}; None: it never was.

    Numbers are rounded to two digits. A state that hardly any run has is not among them.
    """
    with connections[reading_alias()].cursor() as cursor:
        cursor.execute(_ESTIMATE, [model._meta.db_table])
        row = cursor.fetchone()
    if row is None or row[0] <= 0 or not row[1]:
        return None
    total, states, shares, at = row
    counts = [(state, _rounded(total * share)) for state, share in zip(states, shares, strict=False)]
    return {"counts": [one for one in counts if one[1]], "total": _rounded(total), "at": at}


def _rounded(number: float) -> int:
    whole = round(number)
    return round(whole, 2 - len(str(whole)))


_ESTIMATE = """
SELECT c.reltuples, s.most_common_vals::text::text[], s.most_common_freqs,
       greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid))
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = 'state' AND NOT s.inherited
WHERE c.oid = to_regclass(%s)
"""
