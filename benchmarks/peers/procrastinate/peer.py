"""Procrastinate: jobs in PostgreSQL, each of which defers the next; the last one writes the outcome."""

import os
import sys

import procrastinate
import psycopg

from benchmarks.peers import harness, workflow

POSTGRES = os.environ["PEER_POSTGRES"]
#: jobs that one process runs at once: enough for PostgreSQL to share its commits; more gained nothing
CONCURRENCY = 10

IS_WORKER = "worker" in sys.argv


def connector() -> procrastinate.BaseConnector:
    if IS_WORKER:
        return procrastinate.PsycopgConnector(conninfo=POSTGRES, min_size=4, max_size=CONCURRENCY + 4)
    return procrastinate.SyncPsycopgConnector(conninfo=POSTGRES, min_size=1, max_size=2)


app = procrastinate.App(connector=connector())


# Procrastinate keeps no results: the result of a step is an argument of the next job.
@app.task(name="double")
async def double(key: int, number: int) -> None:
    await add.defer_async(key=key, number=workflow.double(number))


@app.task(name="add")
async def add(key: int, number: int) -> None:
    await scale.defer_async(key=key, number=workflow.add(number))


@app.task(name="scale")
async def scale(key: int, number: int) -> None:
    await subtract.defer_async(key=key, number=workflow.scale(number))


@app.task(name="subtract")
async def subtract(key: int, number: int) -> None:
    await app.connector.execute_query_async(
        "INSERT INTO outcome (key, value) VALUES (%(key)s, %(value)s)", key=key, value=workflow.subtract(number)
    )


class ProcrastinatePeer:
    def __init__(self) -> None:
        self._reader = psycopg.connect(POSTGRES, autocommit=True)

    def prepare(self) -> None:
        app.open()
        app.schema_manager.apply_schema()
        # No primary key: a job that ran twice must be visible.
        self._reader.execute("CREATE TABLE outcome (key bigint, value bigint)")

    def processes(self, count: int) -> list[harness.Process]:
        return [harness.Process(["-m", "benchmarks.peers.procrastinate.peer", "worker"]) for _ in range(count)]

    def run(self, numbers: list[int], seconds: float) -> dict[int, int]:
        double.batch_defer(*({"key": number, "number": number} for number in numbers))
        harness.poll(lambda: self._one("SELECT count(*) FROM outcome"), len(numbers), seconds)
        # The outcome is the end of W4 only when its last job is recorded as done too.
        unfinished = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
        harness.poll(lambda: 1 - min(1, self._one(unfinished)), 1, seconds)
        rows = self._reader.execute("DELETE FROM outcome RETURNING key, value").fetchall()
        if len(rows) != len(numbers):
            raise harness.WrongOutput(f"{len(rows)} outcomes for {len(numbers)} workflows")
        return dict(rows)

    def _one(self, query: str) -> int:
        return self._reader.execute(query).fetchone()[0]

    def close(self) -> None:
        self._reader.close()
        app.close()


if __name__ == "__main__":
    if IS_WORKER:
        app.run_worker(concurrency=CONCURRENCY, delete_jobs="never", install_signal_handlers=False)
    else:
        harness.main(ProcrastinatePeer())
