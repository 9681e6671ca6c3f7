"""Whether the restored runs are those that had been accepted, with the outcomes that they had.

Both databases count and hash by the hour of creation, so that a ledger of millions is two statements; only hours that
differ are compared run by run. A run's moment is that of its transaction's beginning, and a restore goes by that of the
commit: so a run that began within `margin` seconds before the second may be there or not, and is counted apart. The
longest that a start may take is the statement timeout, which is the default margin.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any, Final

from erip.management.drill.proofs import Proof

#: runs that are named
SHOWN: Final = 20
#: of runs that were created before a moment, wherever they are kept; outcomes count if they were final by then
_RUNS: Final = """
    SELECT id, created_at, CASE WHEN finished_at < %(until)s
           THEN hashtextextended(
               concat_ws(' ', state, extract(epoch FROM finished_at), md5(output::text), md5(error::text)), 0)
           END AS outcome
    FROM {table} WHERE created_at < %(until)s
"""
_ALL: Final = " UNION ALL ".join(
    _RUNS.format(table=table) for table in ("workflows_workflowrun", "workflows_archivedrun")
)
_BY_HOUR: Final = f"""
SELECT date_trunc('hour', created_at), count(*), count(outcome), bit_xor(hashtextextended(id::text, 0)),
       bit_xor(hashtextextended(id::text || outcome, 1))
FROM ({_ALL}) AS runs GROUP BY 1
"""  # noqa: S608 (our own tables)
_OF_HOUR: Final = f"""
SELECT id::text, created_at, outcome FROM ({_ALL}) AS runs
WHERE created_at >= %(hour)s AND created_at < %(hour)s + interval '1 hour'
"""  # noqa: S608
_LATER: Final = "SELECT count(*) FROM workflows_workflowrun WHERE created_at >= %(until)s"


def compare(living: Any, restored: Any, *, until: datetime, margin: float, kept_from: datetime) -> Proof:
    """living, restored: psycopg2 connections. kept_from: runs from before it may have been removed from the living
    database by retention since: they are counted apart when they are in the restored one alone."""
    whole, late = _by_hour(living, until), _later(restored, until)
    found = _by_hour(restored, until)
    missing: list[str] = []
    other: list[str] = []
    extra: list[str] = []
    uncertain = gone = 0
    for hour in sorted({*whole, *found}):
        if whole.get(hour) == found.get(hour):
            continue
        one, two = _of_hour(living, hour, until), _of_hour(restored, hour, until)
        for run in one.keys() - two.keys():
            if one[run][0] >= until - timedelta(seconds=margin):
                uncertain += 1
            else:
                missing.append(run)
        alone = two.keys() - one.keys()
        extra += [run for run in alone if two[run][0] >= kept_from]
        gone += sum(two[run][0] < kept_from for run in alone)
        # An outcome whose transaction began before the second may have been committed after it.
        other += [run for run in one.keys() & two.keys() if one[run][1] != two[run][1]]
    near = _ended_near(living, other, until, margin)
    other = [run for run in other if run not in near]
    count = sum(row[0] for row in found.values())
    facts = {
        "runs": count,
        "missing": len(missing),
        "other_outcomes": len(other),
        "later": late,
        "unknown_here": len(extra),
        "gone_since": gone,
        "uncertain": uncertain + len(near),
        "named": sorted([*missing, *other, *extra])[:SHOWN],
    }
    if missing or other or late or extra:
        says = (
            f"Of the runs that were accepted by then, {len(missing)} are missing and {len(other)} have another outcome;"
            f" {late} are from after it, and {len(extra)} are not known to the living database."
        )
        return Proof("ledger", False, says, facts)
    return Proof("ledger", True, f"All {count} runs that had been accepted are there, with their outcomes.", facts)


def _by_hour(connection: Any, until: datetime) -> dict[datetime, tuple[Any, ...]]:
    return {row[0]: tuple(row[1:]) for row in _rows(connection, _BY_HOUR, until=until)}


def _of_hour(connection: Any, hour: datetime, until: datetime) -> dict[str, tuple[datetime, int | None]]:
    return {row[0]: (row[1], row[2]) for row in _rows(connection, _OF_HOUR, until=until, hour=hour)}


def _later(connection: Any, until: datetime) -> int:
    return int(next(_rows(connection, _LATER, until=until))[0])


def _ended_near(living: Any, runs: list[str], until: datetime, margin: float) -> set[str]:
    """Of these runs, those that ended within the margin before the second."""
    asked = "SELECT id::text FROM workflows_workflowrun WHERE id = ANY(%(runs)s::uuid[]) AND finished_at >= %(near)s"
    return (
        {row[0] for row in _rows(living, asked, runs=runs, near=until - timedelta(seconds=margin))} if runs else set()
    )


def _rows(connection: Any, statement: str, **values: Any) -> Iterator[tuple[Any, ...]]:
    with closing(connection.cursor()) as cursor:
        # A ledger of years is read for longer than any other statement may take.
        cursor.execute("SET statement_timeout = 0; SET timezone = 'UTC'")
        cursor.execute(statement, values)
        yield from cursor.fetchall()
