"""How many runs are in each state, among the newest ones: counting them all would read millions of rows."""

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
