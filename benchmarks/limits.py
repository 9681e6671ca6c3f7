"""The machine's own ceiling, measured in the same run: what no engine on it could exceed.

fsync/s         8 KiB written and synced, one after another, on the disk that holds the temporary files
commits/s       one row inserted and committed synchronously, on one and on 16 connections
grouped W4/s    the rows of W4 (one run, four steps) written by a bare loop on one connection: 20 runs at a time, a
                commit per level, with the durability that the engine promises (Note [The bare loop])
Redis ops/s     one LPUSH and one RPOP at a time, and in pipelines of 100

Note [The bare loop]: it accepts 20 runs in one synchronous commit, claims their first steps in another one, and goes
through the four levels: one commit sets the steps to SUCCEEDED and inserts the next ones, running. Intermediate commits
are asynchronous (`synchronous_commit=off`), the last one, which also ends the runs, is not. Tables, indexes, checks and
the foreign key are copies of the engine's own. It decides nothing, serialises next to nothing and talks to nobody, so
an engine that records the same can hardly be quicker on one connection.
"""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from secrets import token_hex
from typing import Any

import psycopg2
import psycopg2.extras
import redis

from erip.foundation.ids import new_run_id

from .figures import Figure
from .workloads import CHAIN

SECONDS = 1.5
GROUP = 20
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
            phase("limits: grouped rows")
            workflows = grouped_workflows(database, schema)
            found.append(_figure("grouped_w4", "W4 rows in groups of 20, bare loop", workflows, "workflows/s"))
            # One run row, four step rows; claims and outcomes are counted as the engine writes them.
            found.append(_figure("grouped_rows", "the same in rows inserted", workflows * 5, "rows/s"))
    if broker:
        phase("limits: Redis")
        found.append(_figure("redis", "Redis, one operation at a time", redis_operations(broker, 1), "1/s"))
        found.append(_figure("redis_100", "Redis, pipelines of 100", redis_operations(broker, 100), "1/s"))
    return found


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
    counts = [0.0] * connections
    barrier = threading.Barrier(connections)

    def work(place: int) -> None:
        with closing(psycopg2.connect(database)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:

                def one() -> int:
                    cursor.execute(f"INSERT INTO {schema}.commits VALUES (1)")  # noqa: S608 (our own name)
                    return 1

                barrier.wait(30)
                counts[place] = _rate(one)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def grouped_workflows(database: str, schema: str) -> float:
    """W4 per second of the bare loop."""
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:

        def one() -> int:
            _write_group(cursor, schema, connection.commit)
            return GROUP

        return _rate(one)


def _write_group(cursor: Any, schema: str, commit: Callable[[], None]) -> None:
    """Note [The bare loop]."""
    values = psycopg2.extras.execute_values
    ids = [new_run_id() for _ in range(GROUP)]
    values(
        cursor,
        f"INSERT INTO {schema}.run (id, version_id, workflow, lane, state, input, started_by, notify, created_at)"  # noqa: S608
        " VALUES %s",
        [(run_id, 1, "w4", "standard", "PENDING", '{"value": 1}', "limits", False) for run_id in ids],
        template="(%s::uuid, %s, %s, %s, %s, %s, %s, %s, clock_timestamp())",
    )
    _insert_steps(cursor, schema, ids, CHAIN[0], "READY")
    commit()
    cursor.execute("SET LOCAL synchronous_commit = off")
    cursor.execute(
        f"UPDATE {schema}.step SET state = 'RUNNING', attempt = 1, worker_id = 1, started_at = now()"  # noqa: S608
        " WHERE run_id = ANY(%s::uuid[]) AND step = %s AND item = -1",
        (ids, CHAIN[0]),
    )
    commit()
    for place, step in enumerate(CHAIN, start=1):
        if place < len(CHAIN):
            cursor.execute("SET LOCAL synchronous_commit = off")
        # By the primary key alone: the partial indexes on states are full of rows that have just died.
        values(
            cursor,
            f"UPDATE {schema}.step SET state = 'SUCCEEDED', finished_at = now(), output = new.output::jsonb"  # noqa: S608
            " FROM (VALUES %s) AS new (id, step, output)"
            " WHERE run_id = new.id::uuid AND step.step = new.step AND item = -1",
            [(run_id, step, f'{{"value": {place + 1}}}') for run_id in ids],
        )
        if place < len(CHAIN):
            _insert_steps(cursor, schema, ids, CHAIN[place], "RUNNING")
        else:
            cursor.execute(
                f"UPDATE {schema}.run SET state = 'SUCCEEDED', started_at = now(), finished_at = now(), output = '5'"  # noqa: S608
                " WHERE id = ANY(%s::uuid[])",
                (ids,),
            )
        commit()


def _insert_steps(cursor: Any, schema: str, ids: list[str], step: str, state: str) -> None:
    psycopg2.extras.execute_values(
        cursor,
        f"INSERT INTO {schema}.step"  # noqa: S608
        " (run_id, step, item, state, lane, ready_at, attempt, worker_id, started_at) VALUES %s",
        [(run_id, step, state, int(state == "RUNNING")) for run_id in ids],
        template="(%s::uuid, %s, -1, %s, 'standard', now(), %s, 1, now())",
    )


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
    """A schema with copies of the hot tables, gone afterwards."""
    schema = f"limits_{token_hex(6)}"
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"CREATE SCHEMA {schema}")
        try:
            for table, name in (("workflows_workflowrun", "run"), ("workflows_steprun", "step")):
                cursor.execute(f"CREATE TABLE {schema}.{name} (LIKE {table} INCLUDING ALL)")
            cursor.execute(
                f"ALTER TABLE {schema}.step ADD FOREIGN KEY (run_id) REFERENCES {schema}.run (id)"
                " DEFERRABLE INITIALLY DEFERRED"
            )
            cursor.execute(f"CREATE TABLE {schema}.commits (n integer)")
            yield schema
        finally:
            with suppress(psycopg2.Error):
                cursor.execute(f"DROP SCHEMA {schema} CASCADE")
