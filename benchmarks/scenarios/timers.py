"""timers: how late runs go on that waited for a moment, and what those cost that wait.

Each part can be left out, and be as small as one likes: `--waiting 0`, `--due 0`, `--sleepers 0`.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psutil

from .. import sleepers
from ..checks import Correctness
from ..errors import BenchmarkError, Missing
from ..figures import Figure, Load, Target
from ..history import fill
from ..resources import Usage, spent
from ..session import BULK, Session
from ..statistics import Summary, summarise
from ..truth import wait_for_ends
from ..uptime.topology import pid_of
from ..workloads import SLEEPS, Workload
from .cost import service_usage

#: what is due later than anything is measured
FAR = 60 * 86_400.0
#: seconds from the last start to the first moment, at least
LEAD = 2.0
#: how often runs are started that are to wait, when they were due before all were started
TRIES = 3
#: seconds after a moment at which the leader is killed
KILLED_AFTER = 0.3
LEADER = "leader"
#: seconds over which the cost of sleepers is measured, and the share of them that is woken then
COST_SECONDS = 30.0
WOKEN, WOKEN_EVERY = 1_000, 0.01


@dataclass(frozen=True, slots=True)
class Due:
    """Runs, and the moment at which each is due, in seconds since 1970 by the database's clock."""

    moments: dict[str, float]

    def lateness(self, begun: dict[str, float]) -> list[float]:
        """Seconds from each run's moment until its next step began."""
        return [begun[run_id] - moment for run_id, moment in self.moments.items() if run_id in begun]


async def run(session: Session) -> list[Load]:
    """The parts that were not left out."""
    options, deployment = session.options, session.deployment
    if deployment.state is None or deployment.database is None:
        raise Missing("The scenario timers kills the leader and fills tables: it needs a private stack.")
    await session.prepare(SLEEPS, warm=0)
    warm = await _start(session, [time.time()] * 200)
    await wait_for_ends(
        session.truth, list(warm.moments), seconds=options.patience, left=session.show.phase("warming up")
    )
    loads: list[Load] = []
    if options.waiting:
        loads.append(await _steady(session))
    if options.due:
        loads.append(await _bursts(session))
    if options.sleepers:
        loads.append(await _sleepers(session))
    return loads


async def _start(session: Session, moments: Sequence[float]) -> Due:
    """Start a run for each moment; they wait for it."""

    def asleep(number: int) -> dict[str, Any]:
        return {"value": number, "at": datetime.fromtimestamp(moments[number], UTC).isoformat()}

    workload = Workload(SLEEPS.workflow, SLEEPS.steps, SLEEPS.optional, asleep, SLEEPS.faults)
    ids = await session.start_many(workload, range(len(moments)))
    return Due(dict(zip(ids, moments, strict=True)))


async def _start_due(session: Session, offsets: Sequence[float]) -> Due:
    """The same for moments relative to one that lies far enough ahead that all runs wait by then."""
    began = time.monotonic()
    some = await _start(session, [time.time() + FAR] * min(len(offsets), BULK // 10))
    ahead = LEAD + 1.5 * (time.monotonic() - began) * len(offsets) / len(some.moments)
    for _ in range(TRIES):
        first = time.time() + ahead
        due = await _start(session, [first + offset for offset in offsets])
        if time.time() <= first:
            return due
        # The machine has become slower meanwhile: these end by themselves, and others are started.
        await wait_for_ends(session.truth, list(due.moments), seconds=session.options.patience, left=lambda _: None)
        ahead *= 3
    raise BenchmarkError("The runs were not started before the first of them was due: ask for fewer.")


async def _begun(session: Session, due: Due, title: str) -> dict[str, float]:
    """Wait until the next step of each of these runs began; when that was."""
    url, ids = session.deployment.database, list(due.moments)
    assert url is not None
    done = session.show.phase(title, len(ids))
    until = max(due.moments.values()) + session.options.patience
    await asyncio.sleep(max(0.0, min(due.moments.values()) - time.time()))
    while True:
        # Rarely, because it reads all of them: their moments are in the rows, not in the time of the look.
        await asyncio.sleep(2.0 if len(ids) > BULK // 10 else 0.2)
        found = await asyncio.to_thread(sleepers.begun, url, ids)
        done(len(found))
        if len(found) == len(ids):
            return found
        if time.time() > until:
            raise BenchmarkError(f"{len(ids) - len(found)} of {len(ids)} runs that were due did not go on.")


async def _steady(session: Session) -> Load:
    """So many wait, and some are due each second."""
    options = session.options
    count = min(options.waiting, round(options.due_rate * options.due_seconds))
    session.show.phase(f"starting {options.waiting:,} runs that wait")
    await _start(session, [time.time() + FAR] * (options.waiting - count))
    due = await _start_due(session, [number / options.due_rate for number in range(count)])
    before = service_usage(session)
    begun = await _begun(session, due, f"{options.due_rate:g} due each second, {options.waiting:,} wait")
    cpu = _cpu(before, service_usage(session))
    late = summarise(due.lateness(begun))
    title = f"{options.due_rate:g} runs due each second"
    return Load(
        name="timers.steady",
        title=f"{title}, {options.waiting:,} wait",
        method=(
            f"Each run waits until a moment of its own; {count:,} are due one after the other, the others much later. "
            "From the moment until the next step began, by the database's clock."
        ),
        figures=[
            Figure("timers.steady.p50", f"{title}: late, p50", late.p50 / 1000, "s", True),
            Figure("timers.steady.p99", f"{title}: late, p99", late.p99 / 1000, "s", True, Target("<=", 1)),
            Figure("timers.steady.max", f"{title}: late, at most", late.max / 1000, "s", True),
            Figure("timers.steady.cpu", "CPU meanwhile, for each run", 1000 * cpu[0] / count, "ms", True, note=cpu[1]),
        ],
        correctness=await _ended(session, due, late),
        latencies={"late": late},
    )


async def _bursts(session: Session) -> Load:
    """So many are due in one second; and the same with a leader that is killed in that second."""
    count = session.options.due
    offsets = [number / count for number in range(count)]
    figures: list[Figure] = []
    correctness = Correctness(0, 0, 0, 0, 0)
    lasted: list[float] = []
    for name, title in (("burst", f"{count:,} due in one second"), ("killed", "the same, the leader killed")):
        session.show.phase(f"starting {count:,} runs that wait")
        due = await _start_due(session, offsets)
        first = min(due.moments.values())
        if name == "killed":
            await asyncio.sleep(max(0.0, first + KILLED_AFTER - time.time()))
            await asyncio.to_thread(_kill_leader, session)
        begun = await _begun(session, due, title)
        late = summarise(due.lateness(begun))
        lasted.append(max(begun.values()) - first)
        note = f"each late by {late.p50 / 1000:.2f} s at p50"
        aim = Target("<=", 8) if name == "burst" else None
        figures.append(Figure(f"timers.{name}", f"{title}: all begun after", lasted[-1], "s", True, aim, note=note))
        correctness += await _ended(session, due, late)
    more = lasted[1] - lasted[0]
    figures.append(Figure("timers.leader", "what the killed leader cost", more, "s", True, Target("<=", 3)))
    return Load(
        name="timers.burst",
        title=f"{count:,} runs due in one second",
        method=(
            "Each run waits until its moment, all within one second; from the first moment until the last next step "
            f"began. Then again, and the leader gets SIGKILL {KILLED_AFTER:g} s after the first moment; the supervisor "
            "starts another."
        ),
        figures=figures,
        correctness=correctness,
    )


def _kill_leader(session: Session) -> None:
    state = session.deployment.state
    assert state is not None
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid_of(state, LEADER)).kill()


async def _sleepers(session: Session) -> Load:
    """What very many cost that sleep, and whether they wake."""
    count, url = session.options.sleepers, session.deployment.database
    assert url is not None
    template = await _start(session, [time.time() + FAR])
    session.show.phase("what the stack costs without them")
    alone = await _share(session)
    done = session.show.phase(f"writing {count:,} runs that sleep", count)
    await asyncio.to_thread(fill, url, next(iter(template.moments)), count, done)
    asleep = await asyncio.to_thread(sleepers.sleeping, url, SLEEPS.workflow)
    session.show.phase(f"what {asleep:,} that sleep cost")
    with_them = await _share(session)
    woken = await asyncio.to_thread(sleepers.some, url, SLEEPS.workflow, min(WOKEN, count))
    await asyncio.to_thread(sleepers.wake, url, woken, LEAD, WOKEN_EVERY)
    due = Due(await asyncio.to_thread(sleepers.due_moments, url, woken))
    begun = await _begun(session, due, f"waking {len(woken):,} of them")
    late = summarise(due.lateness(begun))
    left = await asyncio.to_thread(sleepers.sleeping, url, SLEEPS.workflow)
    checks = await _ended(session, due, late)
    if left != asleep - len(woken):
        checks += Correctness(1, 0, 0, 0, 1, [f"{asleep - len(woken) - left} runs went on that were not due"])
    return Load(
        name="timers.sleepers",
        title=f"{asleep:,} runs that sleep",
        method=(
            f"Copies of one run that sleeps, written into the tables. CPU time of all processes and servers over "
            f"{COST_SECONDS:g} s with them, less that without them. Then {len(woken):,} of them, spread evenly, are "
            f"due {WOKEN_EVERY * 1000:g} ms apart."
        ),
        figures=[
            Figure(
                "timers.sleepers.cpu",
                f"{asleep:,} that sleep cost, of a core",
                100 * (with_them - alone),
                "%",
                True,
                Target("<=", 1),
                note=f"{100 * with_them:.2f} % with them, {100 * alone:.2f} % without",
            ),
            Figure("timers.sleepers.p99", "woken: late, p99", late.p99 / 1000, "s", True, Target("<=", 1)),
        ],
        correctness=checks,
        latencies={"late": late},
    )


async def _share(session: Session) -> float:
    """The share of one core that the stack uses while nothing happens."""
    before, began = service_usage(session), time.monotonic()
    await asyncio.sleep(COST_SECONDS if session.options.sleepers > BULK else COST_SECONDS / 30)
    return _cpu(before, service_usage(session))[0] / (time.monotonic() - began)


def _cpu(before: Usage | None, after: Usage | None) -> tuple[float, str]:
    """(CPU seconds, by whom)"""
    assert before is not None
    assert after is not None
    by_name = spent(before, after)
    return sum(by_name.values()), ", ".join(f"{name} {used:.1f}" for name, used in list(by_name.items())[:4])


async def _ended(session: Session, due: Due, late: Summary) -> Correctness:
    """Whether each of these runs succeeded, and none before its moment."""
    ids = list(due.moments)
    await wait_for_ends(
        session.truth, ids, seconds=session.options.patience, left=session.show.phase("the runs end", len(ids))
    )
    url = session.deployment.database
    assert url is not None
    rows = await asyncio.to_thread(
        sleepers.ask,
        url,
        "SELECT count(*) FILTER (WHERE state = 'SUCCEEDED') FROM workflows_workflowrun WHERE id = ANY(%s::uuid[])",
        ids,
    )
    succeeded = int(rows[0][0])
    begun = await asyncio.to_thread(sleepers.begun, url, ids)
    early = sum(seconds < 0 for seconds in due.lateness(begun))
    faults = [f"{early} began before their moment"] if early else []
    faults += [f"{len(ids) - succeeded} did not succeed"] if succeeded != len(ids) else []
    return Correctness(len(ids), succeeded, late.count, 0, early + len(ids) - succeeded, faults)
