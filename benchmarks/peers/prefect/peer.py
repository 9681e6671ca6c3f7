"""Prefect: a flow of four tasks on a server of its own, which keeps its records in PostgreSQL."""

import asyncio
import os
import sys
import time
import urllib.request

from benchmarks.peers import harness, workflow

MODULE = "benchmarks.peers.prefect.peer"
PORT = int(os.environ["PEER_PORT"])
#: flows that one process runs at once: more of them only lengthen the server's queue
CONCURRENCY = 20

# Prefect reads its settings when it is imported.
os.environ |= {
    "PREFECT_API_URL": f"http://127.0.0.1:{PORT}/api",
    "PREFECT_API_DATABASE_CONNECTION_URL": os.environ["PEER_POSTGRES"].replace(
        "postgres://", "postgresql+asyncpg://", 1
    ),
    "PREFECT_HOME": os.environ["PEER_HOME"],
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}


class PrefectPeer:
    def prepare(self) -> None:
        pass  # the server makes its schema when it starts

    def processes(self, count: int) -> list[harness.Process]:
        server = harness.Process(
            ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(PORT), "--no-ui"]
        )
        _wait_for_server(server)
        self._talkers = harness.Talkers(MODULE, count)
        self._talkers.wait_ready()
        return [server, *self._talkers.processes]

    def run(self, numbers: list[int], seconds: float) -> dict[int, int]:
        return self._talkers.run(numbers)

    def close(self) -> None:
        pass


def _wait_for_server(server: harness.Process) -> None:
    deadline = time.monotonic() + 120
    while True:
        server.check()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/health", timeout=2):  # nosec B310
                return
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError("Prefect's server was not up within 120 s") from None
            time.sleep(0.2)


def app() -> None:
    """The process that runs flows."""
    from prefect import flow, task

    options = {"persist_result": False, "cache_policy": None}
    double = task(**options)(_asynchronous(workflow.double))
    add = task(**options)(_asynchronous(workflow.add))
    scale = task(**options)(_asynchronous(workflow.scale))
    subtract = task(**options)(_asynchronous(workflow.subtract))

    @flow(persist_result=False)
    async def w4(number: int) -> int:
        return await subtract(await scale(await add(await double(number))))

    loop = asyncio.new_event_loop()

    async def run_all(numbers: list[int]) -> list[tuple[int, int]]:
        free = asyncio.Semaphore(CONCURRENCY)

        async def one(number: int) -> tuple[int, int]:
            async with free:
                return number, await w4(number)

        return list(await asyncio.gather(*map(one, numbers)))

    harness.talk(lambda numbers: loop.run_until_complete(run_all(numbers)))


def _asynchronous(step):
    async def run(number: int) -> int:
        return step(number)

    run.__name__ = step.__name__
    return run


if __name__ == "__main__":
    if "app" in sys.argv:
        app()
    else:
        harness.main(PrefectPeer())
