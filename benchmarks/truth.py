"""What was recorded: read from the database where it can be reached, and from the API otherwise."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, Protocol

import psycopg2

from .client import Client
from .errors import BenchmarkError
from .records import RUN_ENDS, RunRecord, StepRecord

#: ids in one question
PAGE = 1_000
#: requests at a time, where the API is asked
AT_A_TIME = 16
#: ids that are looked at before all are: asking for thousands slows down what is measured
SAMPLE = 20


class Truth(Protocol):
    """How the recorded state is read."""

    #: for the report
    name: str
    #: seconds between two looks while runs are awaited: also the accuracy of the end that is noted for them
    interval: float

    async def unfinished(self, ids: Sequence[str]) -> int:
        """About how many of these runs have not ended; 0 only if all have."""
        ...

    async def records(self, ids: Sequence[str]) -> list[RunRecord]: ...


class DatabaseTruth:
    """Reads the tables, on a connection of its own."""

    name = "database"
    interval = 0.02

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = psycopg2.connect(url, connect_timeout=5, application_name="erip-benchmarks")
        self._connection.autocommit = True
        self._lock = asyncio.Lock()

    async def unfinished(self, ids: Sequence[str]) -> int:
        some = _sample(ids)
        if left := await self._unfinished(some):
            return max(1, len(ids) * left // len(some))
        return 0 if len(some) == len(ids) else sum([await self._unfinished(page) for page in _pages(ids)])

    async def _unfinished(self, ids: Sequence[str]) -> int:
        asked = "SELECT count(*) FROM workflows_workflowrun WHERE id = ANY(%s::uuid[]) AND finished_at IS NULL"
        return int((await self._all(asked, list(ids)))[0][0])

    async def records(self, ids: Sequence[str]) -> list[RunRecord]:
        found: list[RunRecord] = []
        for page in _pages(ids):
            runs = await self._all(
                "SELECT id::text, workflow, state, input, output, created_at, started_at, finished_at"
                " FROM workflows_workflowrun WHERE id = ANY(%s::uuid[]) ORDER BY id",
                list(page),
            )
            rows = await self._all(
                "SELECT run_id::text, step, state, attempt, output, started_at, finished_at"
                # Items of fan-outs are checked by the results of their step, as through the API.
                " FROM workflows_steprun WHERE run_id = ANY(%s::uuid[]) AND item < 0 ORDER BY run_id, started_at, step",
                list(page),
            )
            steps: dict[str, list[StepRecord]] = defaultdict(list)
            for run_id, *step in rows:
                steps[run_id].append(StepRecord(*step))
            found += [_run(run, steps[run[0]]) for run in runs]
        return found

    async def now(self) -> datetime:
        """The database's clock."""
        return (await self._all("SELECT clock_timestamp()"))[0][0]  # type: ignore[no-any-return]

    def close(self) -> None:
        self._connection.close()

    async def _all(self, query: str, *values: Any) -> list[Any]:
        async with self._lock:
            return await asyncio.to_thread(self._run, query, values)

    def _run(self, query: str, values: tuple[Any, ...]) -> list[Any]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()


class ApiTruth:
    """Reads every run through the API: slower, and needs nothing but a key."""

    name = "API"
    interval = 0.2

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ended: set[str] = set()

    async def unfinished(self, ids: Sequence[str]) -> int:
        left = [run_id for run_id in ids if run_id not in self._ended]
        if len(left) > AT_A_TIME and not await self._has_ended(left[-1]):
            return await self._estimate(left)
        for place in range(0, len(left), AT_A_TIME):
            some = await self.records(left[place : place + AT_A_TIME])
            self._ended |= {run.id for run in some if run.state in RUN_ENDS}
            if any(run.state not in RUN_ENDS for run in some):
                break
        return sum(run_id not in self._ended for run_id in left)

    async def _has_ended(self, run_id: str) -> bool:
        return any(run.state in RUN_ENDS for run in await self.records([run_id]))

    async def _estimate(self, ids: Sequence[str]) -> int:
        """How many have not ended, if they end in their order, as they roughly do: a dozen questions, not thousands, so
        that asking does not slow down what is measured."""
        low, high = 0, len(ids) - 1  # ids[high] has not ended
        while low < high:
            middle = (low + high) // 2
            if await self._has_ended(ids[middle]):
                low = middle + 1
            else:
                high = middle
        return len(ids) - low

    async def records(self, ids: Sequence[str]) -> list[RunRecord]:
        gate = asyncio.Semaphore(AT_A_TIME)

        async def one(run_id: str) -> RunRecord | None:
            async with gate:
                answer = await self._client.request("GET", f"/runs/{run_id}")
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise BenchmarkError(f"The API answered {answer.status} when asked for the run {run_id}.")
            return record_of(answer.json())

        return [run for run in await asyncio.gather(*map(one, ids)) if run is not None]


def record_of(told: dict[str, Any]) -> RunRecord:
    """A run as the API shows it."""
    return RunRecord(
        id=told["id"],
        workflow=told["workflow"],
        state=told["status"],
        input=told["input"],
        output=told["output"],
        created_at=datetime.fromisoformat(told["created_at"]),
        started_at=_time(told["started_at"]),
        finished_at=_time(told["finished_at"]),
        steps=tuple(
            StepRecord(
                step=step["id"],
                state=step["status"],
                attempt=step["attempt"],
                output=step["output"],
                started_at=_time(step["started_at"]),
                finished_at=_time(step["finished_at"]),
            )
            for step in told["steps"]
        ),
    )


async def wait_for_ends(truth: Truth, ids: Sequence[str], *, seconds: float, left: Callable[[int], None]) -> float:
    """Wait until all have ended; returns when that was seen. `left(n)`: n have not ended. Raises BenchmarkError."""
    deadline = time.monotonic() + seconds
    while unfinished := await truth.unfinished(ids):
        left(unfinished)
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{unfinished} of {len(ids)} runs had not ended after {seconds:.0f} s.")
        await asyncio.sleep(truth.interval)
    ended = time.perf_counter()
    left(0)
    return ended


async def settled(truth: Truth, ids: Sequence[str], *, seconds: float = 60.0) -> list[RunRecord]:
    """The records, once the steps beside the outcome have ended too; after `seconds`, the records as they are."""
    deadline = time.monotonic() + seconds
    while True:
        runs = await truth.records(ids)
        if all(run.settled for run in runs) or time.monotonic() > deadline:
            return runs
        await asyncio.sleep(0.5)


def _run(row: tuple[Any, ...], steps: Sequence[StepRecord]) -> RunRecord:
    run_id, workflow, state, input, output, created_at, started_at, finished_at = row
    return RunRecord(run_id, workflow, state, input, output, created_at, started_at, finished_at, tuple(steps))


def _sample(ids: Sequence[str]) -> list[str]:
    """Some of these, from all over, and the last one: most of the time it ends last."""
    return list(ids) if len(ids) <= SAMPLE else [*ids[:: len(ids) // (SAMPLE - 1) + 1], ids[-1]]


def _pages(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + PAGE] for start in range(0, len(ids), PAGE)]


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
