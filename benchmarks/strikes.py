"""Faults that hit a worker while it has work in its hands, whatever the machine: it stands still while one looks.

A look and a signal are two moments, and a quick machine ends a whole batch between them. So the worker is stopped
first, and goes on unharmed if it holds nothing then; and when all runs have ended before the fault, more are started.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import psutil

from erip.ops.stack.processes import Identity

from .errors import BenchmarkError
from .recordings import Held, Recordings
from .session import Session
from .truth import DatabaseTruth
from .uptime.processes import family, kill, send
from .uptime.topology import owner_of, pid_of
from .workloads import Workload

#: the process that is hit
VICTIM = "worker-general"
#: batches of one call, at most
BATCHES = 20
#: seconds between two looks for the moment
LOOK_EVERY = 0.005
#: seconds between two looks whether all runs have ended, which reads some of them
LOOK_FOR_ENDS_EVERY = 0.1


class Fault(StrEnum):
    #: SIGKILL to the worker and its children; the supervisor starts it again
    KILLED = "killed"
    #: SIGSTOP until the leader has given what it held to others, then SIGCONT
    FROZEN = "frozen"
    #: the server ends each of its connections to PostgreSQL
    CUT = "cut off"


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault."""

    fault: Fault
    #: by the database's clock, just after it
    at: datetime
    #: what the worker held
    held: Held


@dataclass
class Batches:
    """Runs of one workload, `count` at once, and as many again each time all have ended too early."""

    session: Session
    truth: DatabaseTruth
    workload: Workload
    count: int
    #: of the runs whose request was answered
    ids: list[str] = field(default_factory=list)
    started: int = 0
    _request: "asyncio.Task[list[str]] | None" = None

    def start(self) -> None:
        """Send the next batch, and do not wait for its answer. Raises BenchmarkError when there were too many."""
        if self.started == BATCHES:
            raise BenchmarkError(
                f"All runs of {BATCHES} batches had ended before {VICTIM} could be hit: ask for more --runs."
            )
        self.started += 1
        self._request = asyncio.create_task(self.session.start_many(self.workload, range(self.count)))

    async def over(self) -> bool:
        """Whether all runs that were started have ended."""
        if self._request is not None and not self._request.done():
            return False
        return not await self.truth.unfinished(await self.answered())

    async def answered(self) -> list[str]:
        """The ids of all runs that were started, once the request is answered."""
        if self._request is not None:
            request, self._request = self._request, None
            self.ids += await request
        return self.ids

    def give_up(self) -> None:
        if self._request is not None:
            self._request.cancel()


class Striker:
    """Hits the general worker of a private stack."""

    def __init__(self, session: Session, recordings: Recordings, batches: Batches) -> None:
        state = session.deployment.state
        assert state is not None
        self._state, self._owner = state, owner_of(state)
        self._recordings, self._batches = recordings, batches
        self._patience = session.options.patience
        self._worker: Identity | None = None

    async def strike(self, fault: Fault, *, after: int) -> Strike:
        """Hit it once about `after` steps are recorded and it holds runs. Raises BenchmarkError when it never does."""
        deadline = time.monotonic() + self._patience
        look_for_ends = 0.0
        while (now := time.monotonic()) < deadline:
            pid = self._pid()
            if pid is not None and self._recordings.about() >= after and self._recordings.held_by(pid).worth_it:
                if struck := await self._hit(fault, pid, deadline):
                    return struck
            elif now > look_for_ends:
                look_for_ends = now + LOOK_FOR_ENDS_EVERY
                if await self._batches.over():
                    self._batches.start()
            await asyncio.sleep(LOOK_EVERY)
        raise BenchmarkError(f"{VICTIM} was not at work within {self._patience:.0f} s.")

    def _pid(self) -> int | None:
        """Looked up once for each life of it."""
        if self._worker is None or not self._worker.alive:
            with suppress(BenchmarkError):
                self._worker = Identity.of(pid_of(self._state, VICTIM))
        return self._worker.pid if self._worker is not None and self._worker.alive else None

    async def _hit(self, fault: Fault, pid: int, deadline: float) -> Strike | None:
        """None if it held nothing when it stood still."""
        with self._stopped(pid) as victims:
            held = self._recordings.held_by(pid)
            if not held.worth_it:
                return None
            if fault is Fault.KILLED:
                kill(self._owner, [pid])
            elif fault is Fault.CUT:
                await self._cut(victims, deadline)
            else:
                await self._until(lambda: not self._recordings.held_by(pid).runs, "was not given up", deadline)
            return Strike(fault, self._recordings.now(), held)

    async def _cut(self, victims: Sequence[Identity], deadline: float) -> None:
        """End the server's processes that serve these: as if the server had closed each of their connections."""
        ports = {port for one in victims for port, _ in _connections(one.pid)}
        serving = [pid for pid in self._recordings.backends() if any(to in ports for _, to in _connections(pid))]
        ends = family(self._owner, serving)
        send(ends, signal.SIGTERM)
        await self._until(lambda: not any(one.alive for one in ends), "kept its connections", deadline)

    @staticmethod
    async def _until(fact: Callable[[], bool], otherwise: str, deadline: float) -> None:
        while not fact():
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{VICTIM} {otherwise}.")
            await asyncio.sleep(LOOK_EVERY)

    @contextmanager
    def _stopped(self, pid: int) -> Iterator[list[Identity]]:
        """It, and what it started, stands still inside of this block."""
        victims = family(self._owner, [pid])
        try:
            send(victims, signal.SIGSTOP)
            yield victims
        finally:
            send(victims, signal.SIGCONT)


def _connections(pid: int) -> list[tuple[int, int]]:
    """(own port, the other's port) of each TCP connection of this process; none if it has ended."""
    with suppress(psutil.NoSuchProcess):
        found = psutil.Process(pid).net_connections("tcp")
        return [(one.laddr.port, one.raddr.port) for one in found if one.laddr and one.raddr]
    return []
