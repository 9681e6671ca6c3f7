"""What became of runs that waited: read from the database, and set there where nobody can wait for so long."""

import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import psycopg2

#: the step that waits, and the one after it, of the workflows `SLEEPS`, `AWAITS` and `RACES`
AFTER = "after"


def ask(url: str, query: str, *values: Any) -> list[Any]:
    """One statement, in a transaction of its own; its rows."""
    with (
        closing(psycopg2.connect(url, application_name="erip-benchmarks")) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(query, values)
        return cursor.fetchall() if cursor.description else []


def begun(url: str, ids: Sequence[str]) -> dict[str, float]:
    """When the step after the wait began, in seconds since 1970 by the database's clock, for each run in which it
    did."""
    rows = ask(
        url,
        "SELECT run_id::text, extract(epoch FROM started_at)::float8 FROM workflows_steprun"
        " WHERE run_id = ANY(%s::uuid[]) AND step = %s AND started_at IS NOT NULL",
        list(ids),
        AFTER,
    )
    return dict(rows)


def ahead(url: str) -> float:
    """How many seconds the database's clock is ahead of time.time()."""
    with (
        closing(psycopg2.connect(url, application_name="erip-benchmarks")) as connection,
        connection.cursor() as cursor,
    ):
        found = []
        for _ in range(9):
            before = time.time()
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
            middle = (before + time.time()) / 2
            found.append((time.time() - before, cursor.fetchone()[0] - middle))  # type: ignore[index]
        # The quickest answer says it best.
        return float(min(found)[1])


def sleeping(url: str, workflow: str) -> int:
    """How many steps of the workflow wait."""
    found = ask(
        url,
        "SELECT count(*) FROM workflows_steprun s JOIN workflows_workflowrun r ON r.id = s.run_id"
        " WHERE r.workflow = %s AND s.state = 'WAITING'",
        workflow,
    )
    return int(found[0][0])


def some(url: str, workflow: str, count: int) -> list[str]:
    """About `count` of its runs that wait, spread evenly over all of them."""
    found = ask(
        url,
        """
        SELECT id FROM (
            SELECT r.id::text, row_number() OVER (ORDER BY r.id) AS place, count(*) OVER () AS all
            FROM workflows_workflowrun r WHERE r.workflow = %s AND r.state = 'WAITING'
        ) runs WHERE place %% greatest(1, runs.all / %s) = 0 LIMIT %s
        """,
        workflow,
        count,
        count,
    )
    return [row[0] for row in found]


def wake(url: str, ids: Sequence[str], first: float, every: float) -> None:
    """Let these runs be due one after the other: the first `first` seconds from now, the next `every` seconds later."""
    ask(
        url,
        "UPDATE workflows_steprun s SET due_at = clock_timestamp() + make_interval(secs => %s + %s * (v.place - 1))"
        " FROM unnest(%s::uuid[]) WITH ORDINALITY AS v (id, place)"
        " WHERE s.run_id = v.id AND s.step = 'nap' AND s.state = 'WAITING'",
        first,
        every,
        list(ids),
    )


def due_moments(url: str, ids: Sequence[str]) -> dict[str, float]:
    """When the waiting step of each run is due, in seconds since 1970."""
    rows = ask(
        url,
        "SELECT run_id::text, extract(epoch FROM due_at)::float8 FROM workflows_steprun"
        " WHERE run_id = ANY(%s::uuid[]) AND step = 'nap' AND due_at IS NOT NULL",
        list(ids),
    )
    return dict(rows)
