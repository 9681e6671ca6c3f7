"""The machine's own ceiling, measured in the same run: what no engine on it could exceed.

fsync/s         8 KiB written and synced, one after another, on the disk that holds the temporary files
commits/s       one row inserted and committed synchronously, on one and on 16 connections
bound W4/s      the rows of W4 (one run, four steps), each written once, in sets (Note [The bound])
Redis ops/s     one LPUSH and one RPOP at a time, and in pipelines of 100

Note [The bound]: the least that a durable W4 costs in PostgreSQL. For each group of runs, one committed insert of their
rows, which is their acceptance, and one committed transaction that inserts their steps as they ended and updates their
runs. Nothing is claimed, decided or checked, the tables have their primary keys alone, and every commit is waited for.
Measured in groups of 20 and of 200, on one connection and on two; what is compared with it is the best of the four.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from secrets import token_hex
from typing import Any

import psycopg2
import redis

from erip.foundation.ids import new_run_id

from .figures import Figure
from .workloads import CHAIN

SECONDS = 1.5
#: runs in a group, and connections that write groups, of the bound
GROUPS, WRITERS = (20, 200), (1, 2)
CONNECTIONS = 16


def measure(database: str | None, broker: str | None, phase: Callable[[str], object]) -> list[Figure]:
    """Every limit that can be measured with the servers at hand."""
    found = []
    phase("limits: fsync")
    found.append(_figure("fsync", "fsync of 8 KiB", fsyncs(), "1/s"))
    if database:
        with _scratch(database) as schema:
            phase("limits: commits")
            for count in (1, CONNECTIONS):
                name = f"commits on {count} connection{'s' if count > 1 else ''}"
                found.append(_figure(f"commits_{count}", name, commits(database, schema, count), "1/s"))
            phase("limits: rows in sets")
            for group in GROUPS:
                for writers in WRITERS:
                    name = f"W4 rows in groups of {group}, {writers} connection{'s' if writers > 1 else ''}"
                    rate = workflows_in_sets(database, schema, group, writers)
                    found.append(_figure(f"bound_{group}_{writers}", name, rate, "workflows/s"))
    if broker:
        phase("limits: Redis")
        found.append(_figure("redis", "Redis, one operation at a time", redis_operations(broker, 1), "1/s"))
        found.append(_figure("redis_100", "Redis, pipelines of 100", redis_operations(broker, 100), "1/s"))
    return found


def bound(found: Iterable[Figure]) -> float | None:
    """W4 per second that nothing on this PostgreSQL exceeds; None if it was not measured."""
    return max((figure.value for figure in found if figure.name.startswith("limits.bound_")), default=None)


def _figure(name: str, title: str, value: float, unit: str) -> Figure:
    return Figure(f"limits.{name}", title, value, unit, lower_is_better=False)


def _rate(one: Callable[[], int]) -> float:
    """What `one` does per second; each call returns how much it did."""
    count, began = 0, time.perf_counter()
    while (lasted := time.perf_counter() - began) < SECONDS:
        count += one()
    return count / lasted


def fsyncs() -> float:
    with tempfile.TemporaryFile() as file:
        block = os.urandom(8192)

        def one() -> int:
            os.pwrite(file.fileno(), block, 0)
            os.fdatasync(file.fileno())
            return 1

        return _rate(one)


def commits(database: str, schema: str, connections: int) -> float:
    """Synchronous commits per second of all connections together."""

    def one(cursor: Any) -> int:
        cursor.execute(f"INSERT INTO {schema}.commits VALUES (1)")  # noqa: S608 (our own name)
        return 1

    return _together(database, connections, "SELECT 1", one)


def workflows_in_sets(database: str, schema: str, group: int, connections: int) -> float:
    """W4 per second, of all connections together. Note [The bound]."""
    statements = f"""
    PREPARE accept (uuid[]) AS
      INSERT INTO {schema}.run (id, state, input) SELECT id, 'PENDING', '{{"value": 1}}' FROM unnest($1) AS new (id);
    PREPARE record (uuid[]) AS
      WITH steps AS (
        INSERT INTO {schema}.step (run_id, step, state, output, started_at, finished_at)
        SELECT id, step, 'SUCCEEDED', '{{"value": 2}}', now(), now()
        FROM unnest($1) AS new (id), unnest(ARRAY{list(CHAIN)!r}) AS each (step)
      )
      UPDATE {schema}.run SET state = 'SUCCEEDED', output = '{{"value": 5}}', finished_at = now() WHERE id = ANY($1)
    """  # noqa: S608 (our own names)

    def one(cursor: Any) -> int:
        ids = "{" + ",".join(str(new_run_id()) for _ in range(group)) + "}"
        cursor.execute("EXECUTE accept (%s::uuid[])", (ids,))
        cursor.execute("EXECUTE record (%s::uuid[])", (ids,))
        return group

    return _together(database, connections, statements, one)


def _together(database: str, connections: int, prepare: str, one: Callable[[Any], int]) -> float:
    """What `one` does per second on so many connections together, each statement a transaction of its own."""
    counts = [0.0] * connections
    barrier = threading.Barrier(connections)

    def work(place: int) -> None:
        with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(prepare)
            barrier.wait(30)
            counts[place] = _rate(lambda: one(cursor))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def redis_operations(broker: str, pipeline: int) -> float:
    """LPUSH and RPOP, each counted."""
    key = f"erip-benchmarks-{token_hex(6)}"
    with closing(redis.Redis.from_url(broker)) as connection:

        def one() -> int:
            if pipeline == 1:
                connection.lpush(key, "1")
                connection.rpop(key)
                return 2
            with connection.pipeline(transaction=False) as pipe:
                for _ in range(pipeline // 2):
                    pipe.lpush(key, "1")
                    pipe.rpop(key)
                pipe.execute()
            return pipeline

        try:
            return _rate(one)
        finally:
            connection.delete(key)


@contextmanager
def _scratch(database: str) -> Iterator[str]:
    """A schema with tables of its own, gone afterwards."""
    schema = f"limits_{token_hex(6)}"
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"CREATE SCHEMA {schema}")
        try:
            cursor.execute(
                f"CREATE TABLE {schema}.run (id uuid PRIMARY KEY, state text, input jsonb, output jsonb,"
                " created_at timestamptz DEFAULT now(), finished_at timestamptz)"
            )
            cursor.execute(
                f"CREATE TABLE {schema}.step (run_id uuid, step text, state text, output jsonb,"
                " started_at timestamptz, finished_at timestamptz, PRIMARY KEY (run_id, step))"
            )
            cursor.execute(f"CREATE TABLE {schema}.commits (n integer)")
            yield schema
        finally:
            with suppress(psycopg2.Error):
                cursor.execute(f"DROP SCHEMA {schema} CASCADE")
