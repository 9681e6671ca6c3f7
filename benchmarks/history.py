"""Millions of finished runs, written straight into the tables: what a platform looks like after a busy month."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
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


#: characters of one piece of a document, and how many pieces there are: more than compression looks back on
PIECE, PIECES = 8_160, 4_000
#: Text of chance. To make it anew for each document would take most of the time.
_NOISE = rf"""
CREATE UNLOGGED TABLE benchmarks_noise (id int PRIMARY KEY, piece text);
ALTER TABLE benchmarks_noise ALTER piece SET STORAGE EXTERNAL;
INSERT INTO benchmarks_noise
SELECT id, (SELECT string_agg(translate(encode(gen_random_bytes(1020), 'base64'), E'\n', ''), '')
            FROM generate_series(1, {PIECE // 1_360}) WHERE id IS NOT NULL)
FROM generate_series(0, {PIECES - 1}) id;
ANALYZE benchmarks_noise
"""  # noqa: S608 (made of constants)
#: an outcome of so many pieces, chosen by the run's moment and id, so that no two are alike
_DOCUMENT = f"""
(SELECT to_jsonb(moment.id || string_agg(noise.piece, ''))
 FROM generate_series(1, %(pieces)s) part
 JOIN benchmarks_noise noise ON noise.id = mod(hashtext(moment.id::text || part) & 2147483647, {PIECES}))
"""  # noqa: S608 (made of constants)


def fill(
    url: str,
    template: str,
    count: int,
    done: Callable[[int], None],
    *,
    steps: bool = True,
    document: int = 0,
    at_once: int = 1,
    portion: int = PORTION,
) -> None:
    """Write `count` runs with their steps, like the run `template`, and let vacuum and statistics catch up.

    url: the database of a private stack; its tables belong to the role. steps: False: the runs alone. document: the
    outcome of each run is a text of its own with about so many characters, which compresses to three quarters, in place
    of the template's; it needs the extension pgcrypto. at_once: connections that write. portion: runs in a
    transaction.
    """
    with closing(psycopg2.connect(url, application_name="erip-benchmarks")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            # One moment for all statements: the ids are made of it, and steps must find their runs.
            cursor.execute("SELECT now()")
            now = cursor.fetchone()[0]  # type: ignore[index]
            references = _references(cursor, "workflows_steprun")
            for name, _ in references:
                # Checking them one by one takes most of the time. The rows are copies: what they refer to is there.
                cursor.execute(f'ALTER TABLE workflows_steprun DROP CONSTRAINT "{name}"')
            given = {"count": count, "template": template, "now": now, "pieces": document // PIECE}
            documents = {"output": _DOCUMENT} if document else {}
            if document:
                cursor.execute(_NOISE)
            statements = [_copy(cursor, "workflows_workflowrun", "id", documents)]
            if steps:
                statements.append(_copy(cursor, "workflows_steprun", "run_id", {}))

            def write(first: int) -> None:
                last = min(first + portion - 1, count)
                _write(url, statements, {**given, "first": first, "last": last})
                done(last)

            with ThreadPoolExecutor(at_once) as pool:
                list(pool.map(write, range(1, count + 1, portion)))
            if document:
                cursor.execute("DROP TABLE benchmarks_noise")
            for name, definition in references:
                cursor.execute(f'ALTER TABLE workflows_steprun ADD CONSTRAINT "{name}" {definition} NOT VALID')
            # Documents stand apart, and would all be read once more.
            cursor.execute(f"{'ANALYZE' if document else 'VACUUM (ANALYZE)'} workflows_workflowrun, workflows_steprun")


def _write(url: str, statements: list[str], given: dict[str, Any]) -> None:
    with (
        closing(psycopg2.connect(url, application_name="erip-benchmarks")) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SET LOCAL synchronous_commit = off")
        for statement in statements:
            cursor.execute(statement, given)


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


def _copy(cursor: Any, table: str, key: str, others: Mapping[str, str]) -> str:
    """The statement that copies the rows of the template: the same columns, whatever they are, at other times. others:
    expressions in place of what the template has in a column."""
    cursor.execute(
        "SELECT attname, atttypid = 'timestamptz'::regtype FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [table],
    )
    columns = cursor.fetchall()
    values = ", ".join(
        "moment.id" if name == key else others.get(name) or f't."{name}"{" + moment.later" if is_time else ""}'
        for name, is_time in columns
    )
    names = ", ".join(f'"{name}"' for name, _ in columns)
    return (
        f"INSERT INTO {table} ({names}) SELECT {values} FROM ({_MOMENTS}) moment "  # noqa: S608  (names from the catalogue)
        f"JOIN {table} t ON t.{key} = %(template)s"
    )
