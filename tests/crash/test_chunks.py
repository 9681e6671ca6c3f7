"""Faults in the middle of a chunk (Note [Chunks] in `store/chunks`): no run is lost, no step is recorded twice.

A lock that the test holds keeps PostgreSQL from recording. So each fault comes when a worker has done some of a chunk
and none of that is recorded, however quick or busy this machine is.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg2
import pytest
import redis
from django.db import connection

from erip.foundation.db import prepared
from tests import workers
from tests.crash.test_crashes import assert_all_succeeded_and_recorded_once, count, start
from tests.definitions import CHAIN, publish
from tests.workers import until
from workflows.models import Chunk, SlowVersion
from workflows.starts import chunks as starting
from workflows.store import chunks

pytestmark = pytest.mark.django_db(transaction=True)

#: three chunks
RUNS = 60
#: how often as many runs are started again since they left their chunks, which they may where the machine stands still
ROUNDS = 3


def waiting(name: str, statement: str = "") -> set[int]:
    """The server's processes that serve this worker and wait for the lock with this statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
            " AND wait_event_type = 'Lock' AND strpos(query, %s) > 0",
            [name, statement],
        )
        return {pid for (pid,) in cursor.fetchall()}


def recording(name: str) -> set[int]:
    return waiting(name, prepared._translated(chunks._RECORD)[0])


def cut_off(name: str) -> None:
    """End the connections of this worker, and with them what it has sent."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s",
            [name],
        )


@contextmanager
def nothing_is_recorded() -> Iterator[None]:
    with closing(psycopg2.connect(workers.environment()["DATABASE_URL"])) as own:
        with own.cursor() as cursor:
            cursor.execute("LOCK TABLE workflows_steprun IN SHARE MODE")
        yield
        own.rollback()


class Faults:
    """Runs that start, and the workers, by name, that are caught in the middle of their chunks."""

    def __init__(self) -> None:
        self.started = 0
        self.workers: dict[str, subprocess.Popen[bytes]] = {}

    @contextmanager
    def worker(self, log: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
        url = f"{workers.environment()['DATABASE_URL']}?application_name={name}"
        with workers.worker(log, name, DATABASE_URL=url) as process:
            self.workers[name] = process
            yield process

    def start(self, runs: int) -> None:
        SlowVersion.objects.all().delete()
        starting.forget()
        start("chain", runs, times=1)
        self.started += runs

    def end(self) -> None:
        until(lambda: count("SUCCEEDED") == self.started, seconds=120, what="all runs succeeded")

    @contextmanager
    def in_a_chunk(self) -> Iterator[str]:
        """The name of a worker that has chunks, and waits with what it has done of one until the block ends."""
        for _ in range(ROUNDS):
            with nothing_is_recorded():
                self.start(RUNS)
                with suppress(AssertionError):
                    until(self._caught, seconds=30)
                if name := self._caught():
                    assert Chunk.objects.filter(worker__pid=self.workers[name].pid).exists()
                    yield name
                    return
            self.end()
        raise AssertionError("no worker was caught in the middle of a chunk")

    def _caught(self) -> str | None:
        return next((name for name in self.workers if recording(name)), None)


def test_a_worker_that_is_cut_off_or_frozen_or_killed_in_a_chunk_loses_nothing_and_records_nothing_twice(
    recordings: None, broker: redis.Redis, log: Path
) -> None:
    publish(CHAIN)
    faults = Faults()
    with workers.leader(log), faults.worker(log, "first") as first:
        # What a new process does at its first run is not to make its chunk slow.
        faults.start(1)
        faults.end()

        # The server ends the connection, and the outcomes are sent again on another one.
        with faults.in_a_chunk():
            before = recording("first")
            cut_off("first")
            until(lambda: recording("first") - before, what="it sends the outcomes again")
        faults.end()

        # It stands still until others have what it had: what it sends afterwards finds nothing.
        with faults.in_a_chunk():
            os.killpg(first.pid, signal.SIGSTOP)
            cut_off("first")
        with faults.worker(log, "second"):
            faults.end()
            os.killpg(first.pid, signal.SIGCONT)
            until(lambda: workers.registered(first), what="the thawed worker is alive again")

            # It dies; what PostgreSQL has from it is recorded, and what it had beside that is given to the other one.
            with faults.in_a_chunk() as name:
                workers.kill(faults.workers.pop(name))
            faults.end()
            # Whichever is left has worked off all that it had to report before.
            faults.start(RUNS)
            faults.end()
    assert not Chunk.objects.exists()
    assert_all_succeeded_and_recorded_once(faults.started, 4)
