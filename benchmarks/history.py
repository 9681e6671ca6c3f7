"""Millions of finished runs, written straight into the tables: what a platform looks like after a busy month."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2

#: runs written in one transaction
PORTION = 100_000
#: days over which their ends are spread: less than the time after which runs are archived
DAYS = 25

# Each is a copy of a real run, at another time and under another id (a UUIDv7 of that time).
_ID = """
(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
 || '7' || substr(noise, 1, 3) || '8' || substr(noise, 4, 15))::uuid
"""
_MOMENTS = f"""
SELECT {_ID} AS id, at - template.created_at AS later
FROM (
    SELECT %(now)s::timestamptz - make_interval(days => {DAYS}) * (1 - n / %(count)s::float8) AS at,
           md5(n::text) AS noise
    FROM generate_series(%(first)s::int, %(last)s::int) n
) moments
CROSS JOIN (SELECT created_at FROM workflows_workflowrun WHERE id = %(template)s) template
"""  # noqa: S608  (made of constants)


def fill(url: str, template: str, count: int, done: Callable[[int], None], *, steps: bool = True) -> None:
    """Write `count` runs with their steps, like the run `template`, and let vacuum and statistics catch up.

    url: the database of a private stack; its tables belong to the role. steps: False: the runs alone.
    """
    with closing(psycopg2.connect(url, application_name="erip-benchmarks")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")
            # One moment for all statements: the ids are made of it, and steps must find their runs.
            cursor.execute("SELECT now()")
            now = cursor.fetchone()[0]  # type: ignore[index]
            references = _references(cursor, "workflows_steprun")
            for name, _ in references:
                # Checking them one by one takes most of the time. The rows are copies: what they refer to is there.
                cursor.execute(f'ALTER TABLE workflows_steprun DROP CONSTRAINT "{name}"')
            for first in range(1, count + 1, PORTION):
                last = min(first + PORTION - 1, count)
                given = {"first": first, "last": last, "count": count, "template": template, "now": now}
                cursor.execute(_copy(cursor, "workflows_workflowrun", "id"), given)
                if steps:
                    cursor.execute(_copy(cursor, "workflows_steprun", "run_id"), given)
                done(last)
            for name, definition in references:
                cursor.execute(f'ALTER TABLE workflows_steprun ADD CONSTRAINT "{name}" {definition} NOT VALID')
            cursor.execute("VACUUM (ANALYZE) workflows_workflowrun, workflows_steprun")


def count_runs(url: str) -> int:
    with (
        closing(psycopg2.connect(url, application_name="erip-benchmarks")) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT count(*) FROM workflows_workflowrun WHERE finished_at IS NOT NULL")
        return int(cursor.fetchone()[0])  # type: ignore[index]


def _references(cursor: Any, table: str) -> list[tuple[str, str]]:
    """The table's foreign keys, as (name, definition)."""
    cursor.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'f'",
        [table],
    )
    return [(name, definition.removesuffix(" NOT VALID")) for name, definition in cursor.fetchall()]


def _copy(cursor: Any, table: str, key: str) -> str:
    """The statement that copies the rows of the template: the same columns, whatever they are, at other times."""
    cursor.execute(
        "SELECT attname, atttypid = 'timestamptz'::regtype FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [table],
    )
    columns = cursor.fetchall()
    values = ", ".join(
        "moment.id" if name == key else f't."{name}" + moment.later' if is_time else f't."{name}"'
        for name, is_time in columns
    )
    names = ", ".join(f'"{name}"' for name, _ in columns)
    return (
        f"INSERT INTO {table} ({names}) SELECT {values} FROM ({_MOMENTS}) moment "  # noqa: S608  (names from the catalogue)
        f"JOIN {table} t ON t.{key} = %(template)s"
    )
