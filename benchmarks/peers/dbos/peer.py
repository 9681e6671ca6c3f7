"""DBOS: a workflow of four checkpointed steps, run in the process that starts it, as its documentation does first."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS, DBOSConfig

from benchmarks.peers import harness, workflow

#: threads that start workflows: each start is a commit, and commits are shared only when they come at once
STARTERS = 4
#: threads that run workflows; without a bound each workflow gets one, and the threads only wait for each other
EXECUTORS = 16

MODULE = "benchmarks.peers.dbos.peer"


@DBOS.step()
def double(number: int) -> int:
    return workflow.double(number)


@DBOS.step()
def add(number: int) -> int:
    return workflow.add(number)


@DBOS.step()
def scale(number: int) -> int:
    return workflow.scale(number)


@DBOS.step()
def subtract(number: int) -> int:
    return workflow.subtract(number)


@DBOS.workflow()
def w4(number: int) -> int:
    return subtract(scale(add(double(number))))


def launch() -> None:
    config: DBOSConfig = {
        "name": "peer",
        "system_database_url": os.environ["PEER_POSTGRES"].replace("postgres://", "postgresql://", 1),
        "sys_db_pool_size": 20,
        "executor_id": os.environ.get("PEER_APP", "0"),
        "log_level": "WARNING",
        "enable_otlp": False,
        "max_executor_threads": EXECUTORS,
    }
    DBOS(config=config)
    DBOS.launch()


def run(numbers: list[int]) -> list[tuple[int, int]]:
    handles = starters.map(lambda number: DBOS.start_workflow(w4, number), numbers)
    return [(number, handle.get_result()) for number, handle in zip(numbers, handles, strict=True)]


class DbosPeer:
    def prepare(self) -> None:
        launch()  # makes the schema before two processes try to
        DBOS.destroy()

    def processes(self, count: int) -> list[harness.Process]:
        self._talkers = harness.Talkers(MODULE, count)
        self._talkers.wait_ready()
        return self._talkers.processes

    def run(self, numbers: list[int], seconds: float) -> dict[int, int]:
        return self._talkers.run(numbers)

    def close(self) -> None:
        pass


if __name__ == "__main__":
    if "app" in sys.argv:
        launch()
        starters = ThreadPoolExecutor(STARTERS)
        harness.talk(run)
    else:
        harness.main(DbosPeer())
