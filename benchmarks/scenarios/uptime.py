"""uptime: what clients see while one server after the other is killed, frozen, filled up or cut off."""

import asyncio
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from ..errors import Usage
from ..figures import Load
from ..recordings import Counted
from ..session import Options, Session
from ..truth import DatabaseTruth, Truth
from ..uptime import figures, present
from ..uptime.availability import availability, by_operation, errors
from ..uptime.fleet import put_on
from ..uptime.ha import HighlyAvailable
from ..uptime.injector import Injector
from ..uptime.kinds import KINDS, on_single
from ..uptime.ledger import Ledger
from ..uptime.operations import Operation, Runs, of_runs
from ..uptime.outages import Mark, calm, outages
from ..uptime.recorded import Recorded
from ..uptime.retries import BUDGET, TRIES
from ..uptime.samples import Sample
from ..uptime.schedule import plan
from ..uptime.sending import SendEvents
from ..uptime.settling import Settled, settle
from ..uptime.topology import SingleNode, Topology
from ..workloads import THREAT, W4, WAITS

#: how often the fleet sends events, against the weights of `operations.of_runs`
EVENTS_WEIGHT = 6


@dataclass
class Run:
    """One run of the scenario, as it goes on."""

    seed: int
    samples: list[Sample]
    marks: Sequence[Mark] = ()
    planned: int = 0
    begin: float = 0.0
    end: float = 0.0
    events: bool = False
    #: recordings of a step that was recorded before; None: not counted
    twice: int | None = None


async def run(session: Session) -> list[Load]:
    """The fleet, the faults, and what was promised against what is recorded."""
    options = session.options
    told = Run(secrets.randbelow(2**31) if options.seed is None else options.seed, [])
    topology = _topology(session)
    planned = plan(told.seed, _kinds(session, topology), options.duration)
    told.planned = len(planned)
    for workload in (W4, WAITS, THREAT):
        await session.prepare(workload)
    random = Random(told.seed)  # noqa: S311  # nosec B311 (a load, not a secret)
    recorded = Recorded(session.deployment.database) if session.deployment.database else None
    with _ledger() as (ledger, path):
        runs = Runs(session.client, ledger, random)
        operations: dict[Operation, int] = of_runs(runs)
        events = await _events(session, runs)
        if events is not None:
            operations[events] = EVENTS_WEIGHT
        told.events = events is not None and recorded is not None
        with _counting(recorded if topology else None) as counted:
            injector = Injector(topology, planned, Random(told.seed + 1)) if topology else None  # noqa: S311
            await _put_on(session, told, operations, random, injector)
            session.show.phase("waiting until everything has ended")
            source = events.source if events is not None else None
            with _truth(session) as truth:
                settled = await settle(ledger, prefix=runs.prefix, source=source, recorded=recorded, truth=truth)
            told.twice = counted().twice if counted else None
    if injector is not None:
        told.marks = injector.marks
        session.left_out += injector.left_out
    if settled.correctness.right:
        path.unlink()
    else:
        kept = [*settled.correctness.faults, f"what was promised: {path}"]
        settled = replace(settled, correctness=replace(settled.correctness, faults=kept))
    return [_load(session, told, settled)]


async def _put_on(
    session: Session, told: Run, operations: dict[Operation, int], random: Random, injector: Injector | None
) -> None:
    """The load with its faults. Returns when both are over; an exception in either ends the other, and heals."""
    duration = session.options.duration
    done = session.show.phase(f"uptime, seed {told.seed}", int(duration))
    async with asyncio.TaskGroup() as tasks:
        if injector is not None:
            tasks.create_task(injector.run(duration))
        told.begin, told.end = await put_on(
            operations, rate=session.options.fleet, seconds=duration, random=random, samples=told.samples, done=done
        )
        if injector is not None:
            session.show.phase("waiting until every node is at its place")


def _topology(session: Session) -> Topology | None:
    """The servers that faults can hit; None: a deployment that others use."""
    if session.deployment.state is None:
        session.left_out.append("uptime: the faults, and the count of recordings: need a private stack.")
        return None
    return SingleNode(session.deployment) if session.options.single else HighlyAvailable(session.deployment)


def refuse(options: Options, *, private: bool) -> None:
    """Raises Usage for impossible faults, before anything is started."""
    if options.faults and not private:
        raise Usage("--faults are for a private stack: without --url.")
    missing = [name for name in options.faults or () if options.single and not on_single(KINDS[name])]
    if missing:
        raise Usage(f"{', '.join(missing)}: the ordinary stack (--single) has no such victim.")


def _kinds(session: Session, topology: Topology | None) -> list[str]:
    """The kinds on the schedule. Raises Usage for a requested kind that has no victim here."""
    asked = session.options.faults
    if topology is None:
        return []
    possible = [name for name, kind in KINDS.items() if topology.can(kind)]
    if asked is None:
        if missing := [name for name in KINDS if name not in possible]:
            session.left_out.append(f"uptime: faults that have no victim here: {', '.join(missing)}.")
        return possible
    if missing := [name for name in asked if name not in possible]:
        raise Usage(f"{', '.join(missing)}: there is no such victim here.")
    return list(asked)


async def _events(session: Session, runs: Runs) -> SendEvents | None:
    """The operation that sends events; None where the deployment takes none."""
    answer = await session.client.request("GET", "/events?limit=1", seconds=20)
    if answer.status == 200:
        return SendEvents(runs)
    session.left_out.append(f"uptime: events: the deployment does not take any ({answer.status}).")
    return None


@contextmanager
def _ledger() -> Iterator[tuple[Ledger, Path]]:
    path = Path(tempfile.gettempdir()) / f"erip-uptime-{secrets.token_hex(6)}.jsonl"
    ledger = Ledger.at(path)
    try:
        yield ledger, path
    finally:
        ledger.close()


@contextmanager
def _counting(recorded: Recorded | None) -> Iterator[Callable[[], Counted] | None]:
    """Recordings are counted on a private stack only: the trigger would slow down a deployment that others use."""
    if recorded is None:
        yield None
        return
    with recorded.counting() as counted:
        yield counted


@contextmanager
def _truth(session: Session) -> Iterator[Truth]:
    """On a fresh connection to the database: the old one may lead to a primary that is gone."""
    if session.deployment.database is None:
        yield session.truth
        return
    truth = DatabaseTruth(session.deployment.database)
    try:
        yield truth
    finally:
        truth.close()


def _load(session: Session, told: Run, settled: Settled) -> Load:
    found = outages(told.samples, told.marks, told.end)
    by_name = by_operation(told.samples)
    all_of_them = availability(told.samples)
    lasted = told.end - told.begin
    return Load(
        name="uptime",
        title=f"{session.options.fleet:g} operations/s for {session.options.duration:.0f} s, {len(found)} faults",
        method=(
            f"Seed {told.seed}. Open loop; clients make {TRIES} tries within {BUDGET:g} s under one idempotency "
            "key, and every answer is checked. Faults are real signals and commands, one at a time, each when "
            "every node is at its place."
        ),
        figures=[
            *figures.of_availability(all_of_them),
            *figures.of_outages(found, planned=told.planned, calm=calm(told.samples, told.marks)),
            *figures.of_ledger(settled.findings, twice=told.twice, events=told.events, drained=settled.drained),
        ],
        correctness=settled.correctness,
        latencies=present.latencies(by_name),
        offered=session.options.fleet,
        achieved=all_of_them.right / lasted if lasted else None,
        errors=errors(told.samples),
        grids=[present.operations(by_name), *([present.faults(found, told.begin)] if found else [])],
        timeline=present.timeline(told.samples, found, told.begin, told.end),
    )
