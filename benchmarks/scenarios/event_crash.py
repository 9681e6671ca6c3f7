"""event-crash: consumers are killed and added at random while events come in; order per key is held, nothing is lost,
nothing taken twice. However quick the machine, events come in until each of these has happened."""

import asyncio
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from erip.ops.stack.state import ROOT, State

from ..checks import check
from ..deployment import of_further_worker
from ..errors import BenchmarkError
from ..events import Kind, Log, Sent, send
from ..figures import Figure, Load, Target
from ..session import Session
from ..strikes import VICTIM
from ..truth import settled, wait_for_ends
from ..uptime.topology import pid_of
from ..workloads import EVENT

BATCH = 50
#: callers, each of which sends its own keys' events one batch after the other: without that there is no order to keep
CALLERS = 10
KEYS = 1_000
#: consumers beside the stack's own
MOST_ADDED = 3
#: seconds, about, between two acts of disturbance
EVERY = 1.5
DEEDS = ("add", "kill the stack's", "freeze", "kill", "end")
#: one event in this many starts a run: so many start together that they share chunks
STARTING = 5
#: seconds for which as many events again are sent, as others, until each of DEEDS has been done
LONGEST = 180.0


@dataclass
class Consumers:
    """General workers that come and go: real processes, real signals."""

    state: State
    seed: int
    chance: random.Random
    added: list[subprocess.Popen[bytes]] = field(default_factory=list)
    deeds: list[str] = field(default_factory=list)

    @property
    def lacking(self) -> list[str]:
        """What has not been done yet."""
        return [one for one in DEEDS if one not in self.deeds]

    async def churn(self, stop: asyncio.Event) -> None:
        """Until `stop`: adds a worker, ends one, kills one, or freezes one for longer than its lease."""
        while not stop.is_set():
            await self._deed()
            try:
                await asyncio.wait_for(stop.wait(), self.chance.uniform(0.5, 1.5) * EVERY)
            except TimeoutError:
                continue

    async def _deed(self) -> None:
        self.added = [one for one in self.added if one.poll() is None]
        deeds = ["add"] if len(self.added) < MOST_ADDED else []
        deeds += ["kill", "end", "freeze"] if self.added else []
        deeds += ["kill the stack's"]
        # Each of them before any comes again.
        deed = self.chance.choice([one for one in deeds if one in self.lacking] or deeds)
        if deed == "add":
            self.added.append(await asyncio.to_thread(self._start, len(self.deeds)))
        elif deed == "kill the stack's":
            if not await asyncio.to_thread(self._kill_own):
                return
        else:
            await self._signal(deed, self.chance.choice(self.added))
        self.deeds.append(deed)

    async def _signal(self, deed: str, one: subprocess.Popen[bytes]) -> None:
        if deed == "kill":
            one.kill()
        elif deed == "end":
            one.terminate()
        else:
            one.send_signal(signal.SIGSTOP)
            await asyncio.sleep(4.0)  # longer than a lease: its partitions belong to others when it thaws
            one.send_signal(signal.SIGCONT)

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "erip.worker", "--pool=threads", "-c", "4", "--without-mingle"]
        command += ["--without-gossip", "-Q", "critical,high,standard,bulk", "-n", f"added{number}@%h"]
        env = of_further_worker(self.state)
        return subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def _kill_own(self) -> bool:
        """False while there is none: the supervisor is about to start it again."""
        with suppress(BenchmarkError, psutil.NoSuchProcess):
            worker = psutil.Process(pid_of(self.state, VICTIM))
            for process in [*worker.children(recursive=True), worker]:
                process.kill()
            return True
        return False

    def end(self) -> None:
        for one in self.added:
            one.send_signal(signal.SIGCONT)
            one.kill()
            one.wait(10)


async def run(session: Session) -> list[Load]:
    """`--events` events with 1,000 keys, consumers by chance of `--seed`."""
    deployment, options = session.deployment, session.options
    if deployment.database is None or deployment.state is None:
        raise BenchmarkError("event-crash needs a private stack.")
    await session.prepare(EVENT)
    log, kind = Log(deployment.database), Kind("crash", keys=KEYS, starting=STARTING)
    (warm, _), chunks = await log.runs(), await log.chunks()
    seed = options.seed if options.seed is not None else secrets.randbelow(10_000)
    consumers = Consumers(deployment.state, seed, random.Random(seed))  # noqa: S311
    stop = asyncio.Event()
    try:
        churn = asyncio.create_task(consumers.churn(stop))
        sent, events = Sent(began=time.perf_counter()), 0
        while not events or (consumers.lacking and time.perf_counter() - sent.began < LONGEST):
            first, events = events, events + options.events
            done = session.show.phase(f"{events:,} events, consumers come and go", events)
            async with asyncio.TaskGroup() as tasks:
                for caller in range(CALLERS):
                    tasks.create_task(_send_own(session, kind, sent, range(first + caller, events, CALLERS), done))
        # The churn goes on while the accepted events are worked off.
        reading = session.show.phase("the log", sent.accepted)
        waiting = asyncio.create_task(log.wait_for(kind, sent.accepted, seconds=options.patience, done=reading))
        await asyncio.wait([waiting], timeout=10)
        stop.set()
        await churn
        ended = await waiting
        load = await _load(session, log, kind, sent, events, consumers, ended - sent.began, warm)
        load.figures.append(
            Figure("event-crash.chunks", "chunks that the runs started in", await log.chunks() - chunks, "chunks")
        )
        return [load]
    finally:
        stop.set()
        consumers.end()
        log.close()


async def _send_own(
    session: Session, kind: Kind, sent: Sent, numbers: Sequence[int], done: Callable[[int], None]
) -> None:
    """The events of one caller's keys (number modulo CALLERS), in their order."""
    for first in range(0, len(numbers), BATCH):
        some = numbers[first : first + BATCH]
        await send(session.client, kind.batch(some), len(some), sent, time.perf_counter())
        done(sent.accepted)


async def _load(
    session: Session,
    log: Log,
    kind: Kind,
    sent: Sent,
    events: int,
    consumers: Consumers,
    seconds: float,
    warm: list[str],
) -> Load:
    options, name = session.options, "event-crash"
    logged, disordered = await log.read(kind), await log.disordered(kind)
    ids, twice = await log.runs(but=warm)
    await wait_for_ends(session.truth, ids, seconds=options.patience, left=lambda _: None)
    runs = check(EVENT, ids, await settled(session.truth, ids))
    due = sum(kind.starts(number) for number in range(events))
    lost = sent.accepted - logged.different
    figures = [
        Figure(f"{name}.accepted", "events accepted", sent.accepted, "events", None, Target("==", events)),
        Figure(f"{name}.lacking", "kinds of disturbance that did not happen", len(consumers.lacking), "", True,
               Target("==", 0)),
        Figure(f"{name}.lost", "accepted, and not in the log", lost, "events", True, Target("==", 0)),
        Figure(f"{name}.twice", "in the log twice", logged.twice, "events", True, Target("==", 0)),
        Figure(f"{name}.disordered", "in the log before an earlier one of their key", disordered, "events", True,
               Target("==", 0)),
        Figure(f"{name}.runs", "workflows started, of those due", len(ids) - due, "off", True, Target("==", 0)),
        Figure(f"{name}.runs_twice", "workflows started twice", twice, "runs", True, Target("==", 0)),
        Figure(f"{name}.longest", "accepted → logged, longest", logged.most / 1000, "s", True),
        Figure(f"{name}.rate", "in the log per second, deaths included", logged.events / seconds, "events/s", False),
    ]  # fmt: skip
    counts = ", ".join(f"{deed} {consumers.deeds.count(deed)}" for deed in sorted(set(consumers.deeds)))
    return Load(
        name=name,
        title=f"{events:,} events with {KEYS:,} keys while consumers come and go",
        method=(
            f"{CALLERS} callers over HTTP, batches of {BATCH}, each with keys of its own and one request at a time. "
            f"Meanwhile, seed {consumers.seed}: {counts}."
        ),
        figures=figures,
        correctness=runs,
        latencies={},
        achieved=logged.events / seconds,
        errors=sent.errors,
    )
