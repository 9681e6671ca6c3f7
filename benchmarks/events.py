"""Events under load: how they are made and sent, and what the log says of them."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import psycopg2

from .client import Client
from .errors import BenchmarkError
from .workloads import EVENT

BATCH_MEDIA = "application/cloudevents-batch+json"
PLAIN, STARTING = "benchmark.measured", "benchmark.starts"
#: one source for each load, which tells its events apart from all others in the log
SOURCE = "/benchmarks/"
#: about what a scanner's finding weighs
_DETAIL = "The service answers with a version that a published advisory names; a fixed one is there."
#: seconds between two looks into the log
LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Kind:
    """The events of one load."""

    #: the last part of their source
    name: str
    #: keys that order is kept for
    keys: int = 1_000
    #: one event in this many starts a workflow; 0: none
    starting: int = 100

    @property
    def source(self) -> str:
        return SOURCE + self.name

    def batch(self, numbers: Sequence[int]) -> bytes:
        """The events of these numbers, as a request's body. Formatted, not serialised: the client's CPU time is taken
        from the service."""
        return ("[" + ",".join(map(self._event, numbers)) + "]").encode()

    def starts(self, number: int) -> bool:
        return bool(self.starting) and number % self.starting == 0

    def _event(self, number: int) -> str:
        kind = STARTING if self.starts(number) else PLAIN
        return (
            f'{{"specversion":"1.0","type":"{kind}","source":"{self.source}","id":"{number}",'
            f'"subject":"host-{number % self.keys}","time":"2026-11-01T12:00:00Z","datacontenttype":"application/json",'
            f'"data":{{"value":{number},"severity":"medium","cve":"CVE-2026-{number % 9000 + 1000}",'
            f'"detail":"{_DETAIL}"}}}}'
        )


@dataclass
class Sent:
    """The outcome of one load's requests. Times are time.perf_counter()."""

    accepted: int = 0
    refused: int = 0
    #: requests that were answered with 429 and sent again
    put_off: int = 0
    seconds: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    began: float = 0.0
    ended: float = 0.0


async def send(client: Client, body: bytes, events: int, sent: Sent, due: float) -> None:
    """One batch, until it is accepted; 429 is obeyed. Latency counts from when it was due."""
    while True:
        try:
            answer = await client.request("POST", "/events", body, content_type=BATCH_MEDIA, seconds=30)
        except (OSError, TimeoutError) as error:
            name = type(error).__name__
            break
        if answer.status == 202:
            sent.accepted += events
            sent.seconds.append(answer.ended - due)
            sent.ended = max(sent.ended, answer.ended)
            return
        name = str(answer.status)
        if answer.status != 429:
            break
        sent.put_off += 1
        await asyncio.sleep(float(answer.headers.get(b"retry-after", b"1")))
    sent.refused += events
    sent.errors[name] = sent.errors.get(name, 0) + 1


async def open_loop(
    client: Client, kind: Kind, *, rate: float, seconds: float, batch: int, done: Callable[[int], None]
) -> Sent:
    """`rate` events per second in batches, each due on its schedule (Note [Coordinated omission] in `schedule`)."""
    sent = Sent(began=time.perf_counter())
    async with asyncio.TaskGroup() as tasks:
        for index in range(int(rate * seconds / batch)):
            due = sent.began + index * batch / rate
            body = kind.batch(range(index * batch, (index + 1) * batch))
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            tasks.create_task(send(client, body, batch, sent, due))
            done(sent.accepted)
    return sent


async def closed_loop(
    client: Client, kind: Kind, *, senders: int, seconds: float, batch: int, done: Callable[[int], None]
) -> Sent:
    """As much as the service accepts: each sender sends its next batch when the last was answered."""
    sent = Sent(began=time.perf_counter())
    until = sent.began + seconds
    following = iter(range(1 << 40))

    async def one() -> None:
        while (due := time.perf_counter()) < until:
            index = next(following)
            await send(client, kind.batch(range(index * batch, (index + 1) * batch)), batch, sent, due)
            done(sent.accepted)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(senders):
            tasks.create_task(one())
    return sent


@dataclass(frozen=True, slots=True)
class Logged:
    """What the log holds of one source."""

    events: int
    different: int
    #: milliseconds from accepted to logged
    mean: float
    p50: float
    p95: float
    p99: float
    most: float

    @property
    def twice(self) -> int:
        return self.events - self.different


class Log:
    """The event log, read on a connection of its own."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg2.connect(url, connect_timeout=5, application_name="erip-benchmarks")
        self._connection.autocommit = True

    def close(self) -> None:
        self._connection.close()

    async def wait_for(self, kind: Kind, count: int, *, seconds: float, done: Callable[[int], None]) -> float:
        """Wait until the log holds `count` events of this kind; returns when that was seen. Raises BenchmarkError."""
        deadline = time.perf_counter() + seconds
        while True:
            # While blocks wait there is no need to count, which takes long.
            waiting = await self._one("SELECT coalesce(sum(events - done), 0) FROM events_block")
            now = time.perf_counter()
            done(max(0, count - int(waiting)))
            if not waiting and (await self.read(kind)).different >= count:
                return now
            if now > deadline:
                raise BenchmarkError(f"{waiting} accepted events are not in the log after {seconds:.0f} s.")
            await asyncio.sleep(LOOK_EVERY)

    async def read(self, kind: Kind) -> Logged:
        row = await self._row(
            "SELECT count(*), count(DISTINCT event_id), coalesce(avg(ms), 0), coalesce(max(ms), 0),"
            " coalesce(percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY ms), ARRAY[0, 0, 0]::float8[])"
            " FROM (SELECT event_id, 1000 * extract(epoch FROM logged_at - accepted_at)::float8 AS ms"
            "       FROM events_event WHERE source = %s) e",
            kind.source,
        )
        events, different, mean, most, (p50, p95, p99) = row
        return Logged(events, different, mean, p50, p95, p99, most)

    async def disordered(self, kind: Kind) -> int:
        """How many events the log holds before one of the same key that was sent, and answered, earlier."""
        return int(
            await self._one(
                "SELECT count(*) FROM (SELECT event_id::bigint AS number, lag(event_id::bigint) OVER ("
                " PARTITION BY subject ORDER BY partition, position) AS before FROM events_event WHERE source = %s) e"
                " WHERE before > number",
                kind.source,
            )
        )

    async def runs(self, *, but: Collection[str] = ()) -> tuple[list[str], int]:
        """Ids of all other runs, and how many of them have the same input as another one."""
        asked = "SELECT id::text, input->>'value' FROM workflows_workflowrun WHERE workflow = %s"
        rows = await asyncio.to_thread(self._run, asked, (EVENT.workflow,))
        found = {run_id: value for run_id, value in rows if run_id not in but}
        return list(found), len(found) - len(set(found.values()))

    async def chunks(self) -> int:
        """How many chunks runs were ever accepted in."""
        return await self._one("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM workflows_chunk_id_seq")

    async def _row(self, query: str, *values: object) -> tuple:
        return (await asyncio.to_thread(self._run, query, values))[0]

    async def _one(self, query: str, *values: object) -> int:
        return int((await self._row(query, *values))[0])

    def _run(self, query: str, values: tuple[object, ...]) -> list[tuple]:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()
