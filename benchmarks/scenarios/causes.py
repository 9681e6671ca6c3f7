"""causes: whom PULSE blames for each kind of fault, how soon, and how often somebody is woken.

Phases on the highly available stack, all under load: calm, each kind of fault once for each seed, a planned switchover,
and PostgreSQL killed for good.
"""

import asyncio
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import psutil
from redis.exceptions import RedisError

from erip.ops.stack.ha.layout import THREE
from erip.ops.stack.ha.roles import Roles

from ..causes.naming import HIT, WITHIN, Naming, name
from ..causes.pager import Pager, Received
from ..causes.switchover import switch_over
from ..checks import Correctness
from ..errors import BenchmarkError
from ..figures import Figure, Grid, Load, Target
from ..session import Session
from ..uptime import processes
from ..uptime.faults import fault
from ..uptime.fleet import put_on
from ..uptime.ha import HighlyAvailable
from ..uptime.kinds import KINDS, Kind
from ..uptime.ledger import Ledger
from ..uptime.operations import Runs, of_runs
from ..workloads import THREAT, W4, WAITS

#: seconds: that everything may take to be in its place after a fault; of calm before the next one, which are more than
#: PULSE counts to one incident; and after a fault in which its page may come
WHOLE_WITHIN, CALM, PAGES_FOR = 90.0, 20.0, 25.0
#: seconds within which somebody must be woken when PostgreSQL is killed for good, and after which nobody will be
WOKEN_WITHIN, GIVEN_UP = 15.0, 60.0
#: kinds of twenty whose cause must be named
NAMED_OF_TWENTY = 18


@dataclass
class Trial:
    """One fault, and what was said of it. load: the mean number of processes that wanted a core meanwhile."""

    seed: int
    kind: Kind
    naming: Naming
    pages: list[Received] = field(default_factory=list)
    load: float = 0.0

    @property
    def right(self) -> bool:
        found = self.naming.first_right
        return found is not None and found <= WITHIN


async def run(session: Session) -> list[Load]:
    """The trials of all seeds, the calm, and the switchover."""
    pager = session.pager
    assert pager is not None
    assert session.deployment.state is not None
    topology = HighlyAvailable(session.deployment)
    kinds = [KINDS[one] for one in session.options.faults or KINDS]
    if missing := [kind.name for kind in kinds if not topology.can(kind)]:
        session.left_out.append(f"causes: faults that have no victim here: {', '.join(missing)}.")
    kinds = [kind for kind in kinds if topology.can(kind)]
    for workload in (W4, WAITS, THREAT):
        await session.prepare(workload)
    first = session.options.seed if session.options.seed is not None else secrets.randbelow(2**31)
    trials: list[Trial] = []
    calm_pages: list[Received] = []
    switched: list[Received] | None = None
    woken: float | None = None

    def so_far() -> None:
        session.keep([_load(session, trials, calm_pages, switched, woken, first)])

    async def measured() -> None:
        nonlocal calm_pages, switched, woken
        calm_pages = await _calm(session, pager, session.options.calm)
        so_far()
        for seed in range(first, first + session.options.seeds):
            random = Random(seed)  # noqa: S311  # nosec B311 (an order, not a secret)
            for number, kind in enumerate(random.sample(kinds, len(kinds)), 1):
                session.show.phase(f"causes, seed {seed}: {kind.name} ({number} of {len(kinds)})")
                if trial := await _try(session, topology, pager, kind, seed, random):
                    trials.append(trial)
                    session.show.note(_line(trial))
                    so_far()
                else:
                    session.show.note(f"left out: {session.left_out[-1]}")
        if session.options.calm:
            # In this order: after the second one, nothing works any more.
            switched = await _switch(session, topology, pager)
            so_far()
            woken = await _for_good(session, topology, pager)

    await _under_load(session, measured, Random(first))  # noqa: S311  # nosec B311
    return [_load(session, trials, calm_pages, switched, woken, first)]


async def _under_load(session: Session, measured: Callable[[], Awaitable[None]], random: Random) -> None:
    """The fleet goes on for as long as it is measured."""
    path = Path(tempfile.gettempdir()) / f"erip-causes-{secrets.token_hex(6)}.jsonl"
    ledger = Ledger.at(path)
    try:
        operations = of_runs(Runs(session.client, ledger, random))
        fleet = asyncio.create_task(
            put_on(operations, rate=session.options.fleet, seconds=86_400.0, random=random, samples=[], done=_nothing)
        )
        try:
            await measured()
        finally:
            fleet.cancel()
            with suppress(asyncio.CancelledError):
                await fleet
    finally:
        ledger.close()
        path.unlink(missing_ok=True)


def _nothing(_: int) -> None:
    pass


async def _calm(session: Session, pager: Pager, seconds: float) -> list[Received]:
    """Nothing is done to it. Returns the pages."""
    done = session.show.phase("calm under load", int(seconds))
    begin = time.time()
    while (past := time.time() - begin) < seconds:
        done(int(past))
        # Somebody looks at the health meanwhile, as a console does.
        with suppress(OSError):
            await session.client.request("GET", "/health", seconds=5)
        await asyncio.sleep(1)
    return pager.pages(begin, time.time())


async def _try(
    session: Session, topology: HighlyAvailable, pager: Pager, kind: Kind, seed: int, random: Random
) -> Trial | None:
    if not await _whole(session, topology):
        session.left_out.append(f"{kind.name}, seed {seed}: something was still missing after the fault before.")
        return None
    # What was seen of the fault before is then another incident.
    calm_until = time.time() + CALM
    while time.time() < calm_until:
        with suppress(OSError):
            await session.client.request("GET", "/health", seconds=5)
        await asyncio.sleep(1)
    put_in = None
    try:
        victim = await asyncio.to_thread(topology.find, kind.role, random.random())
        put_in = fault(kind, topology, victim)
        trial = Trial(seed, kind, Naming(HIT[kind.role], victim))
        begin = time.time()
        asking = asyncio.create_task(name(session.client, trial.naming, begin))
        await asyncio.to_thread(put_in.inject)
        await asyncio.sleep(max(0.0, begin + kind.hold - time.time()))
        await asyncio.to_thread(put_in.heal)
        await asking
        await asyncio.sleep(max(0.0, begin + PAGES_FOR - time.time()))
    except (BenchmarkError, OSError, RedisError) as error:
        session.left_out.append(f"{kind.name}, seed {seed}: {error}")
        return None
    finally:
        if put_in is not None:
            put_in.heal()
    trial.pages = pager.pages(begin, time.time())
    trial.load = psutil.getloadavg()[0]
    return trial


async def _switch(session: Session, topology: HighlyAvailable, pager: Pager) -> list[Received] | None:
    session.show.phase("planned switchover")
    if not await _whole(session, topology):
        session.left_out.append("The switchover: something was still missing.")
        return None
    begin = time.time()
    try:
        await asyncio.to_thread(switch_over, topology.state)
    except BenchmarkError as error:
        session.left_out.append(f"The switchover: {error}")
        return None
    await asyncio.sleep(PAGES_FOR)
    return pager.pages(begin, time.time())


async def _for_good(session: Session, topology: HighlyAvailable, pager: Pager) -> float | None:
    """Kill all of PostgreSQL, and whatever starts it again, until somebody is woken. Returns the seconds until then."""
    session.show.phase("PostgreSQL killed for good")
    if not await _whole(session, topology):
        session.left_out.append("PostgreSQL killed for good: something was still missing.")
        return None
    roles = Roles(topology.state)
    begin = time.time()
    while time.time() - begin < GIVEN_UP:
        for node in (f"postgres-{n}" for n in THREE):
            # Between two looks one may have ended, and another program may have its number: the next round comes soon.
            with suppress(BenchmarkError):
                pids = [pid for pid in (roles.pid(node), roles.postmaster(node)) if pid]
                await asyncio.to_thread(processes.kill, topology.owner, pids)
        if found := pager.pages(begin, time.time()):
            return found[0].at - begin
        await asyncio.sleep(0.25)
    session.left_out.append(f"PostgreSQL killed for good: nobody was woken within {GIVEN_UP:.0f} s.")
    return None


async def _whole(session: Session, topology: HighlyAvailable) -> bool:
    deadline = time.perf_counter() + WHOLE_WITHIN
    while time.perf_counter() < deadline:
        if not await asyncio.to_thread(topology.missing):
            return True
        await asyncio.sleep(0.5)
    return False


# --- the results


def _line(trial: Trial) -> str:
    """For those who watch it."""
    naming = trial.naming
    found, last = naming.first_right, naming.last
    when = "right" if trial.right else "WRONG"
    when += f" after {found:.1f} s" if found is not None else f", last: {last.component if last else 'nothing'}"
    before = f", before that {', '.join(naming.wrong)}" if naming.wrong else ""
    load = f"{len(trial.pages)} pages, {naming.unanswered} not answered, load {trial.load:.1f}"
    now = datetime.now(UTC).strftime("%H:%M:%S")
    return f"{now} seed {trial.seed} {trial.kind.name} ({naming.victim.name}): {when}{before}; {load}"


def _load(
    session: Session,
    trials: list[Trial],
    calm: list[Received],
    switched: list[Received] | None,
    woken: float | None,
    seed: int,
) -> Load:
    options = session.options
    right = sum(trial.right for trial in trials)
    share = 20 * right / len(trials) if trials else 0.0
    times = [found for trial in trials if (found := trial.naming.first_right) is not None]
    most = max((len(trial.pages) for trial in trials), default=0)
    figures = [
        Figure(
            "causes.named",
            f"right component first within {WITHIN:.0f} s, of 20",
            share,
            "",
            False,
            Target(">=", NAMED_OF_TWENTY),
            f"{right} of {len(trials)} faults",
        ),
        Figure(
            "causes.member",
            "the victim itself among what is named, of 20",
            20 * sum(trial.naming.right_member for trial in trials) / len(trials) if trials else 0.0,
            "",
            False,
        ),
        Figure("causes.seconds.max", "seconds until it is named, at most", max(times, default=0.0), "s", True),
        Figure("causes.pages.most", "pages for one fault, at most", most, "", True, Target("<=", 1)),
        Figure("causes.faults", "faults carried out", len(trials), "", None),
    ]
    if options.calm:
        note = f"{options.calm / 60:.0f} minutes at {options.fleet:g} operations/s"
        figures.append(Figure("causes.pages.calm", "pages while calm", len(calm), "", True, Target("==", 0), note))
    if switched is not None:
        figures.append(
            Figure("causes.pages.switchover", "pages at a planned switchover", len(switched), "", True, Target("==", 0))
        )
    if woken is not None:
        target = Target("<=", WOKEN_WITHIN)
        figures.append(Figure("causes.pages.dead", "PostgreSQL killed for good → page", woken, "s", True, target))
    return Load(
        name="causes",
        title=f"{len(trials)} faults, seeds {seed} to {seed + options.seeds - 1}",
        method=(
            "Real faults on the highly available stack under load, one at a time. GET /health is asked twice a second; "
            "right is a fault after which the component hit is named first within 10 s, and none other after that. "
            "Pages are what a webhook receiver gets."
        ),
        figures=figures,
        correctness=Correctness(0, 0, 0, 0, 0),
        offered=options.fleet,
        grids=[one for one in (_grid(trials), _turns(trials)) if one.rows],
    )


def _grid(trials: list[Trial]) -> Grid:
    rows = []
    for trial in trials:
        naming = trial.naming
        found, last = naming.first_right, naming.last
        rows.append(
            [
                str(trial.seed),
                trial.kind.name,
                naming.victim.name,
                "yes" if trial.right else "NO",
                "" if found is None else f"{found:.1f}",
                "yes" if naming.right_member else "no",
                ", ".join(naming.wrong),
                "; ".join(str(page.body.get("title")) for page in trial.pages),
                f"{trial.load:.1f}",
                f"{len(naming.named)} + {naming.unanswered}",
                "nothing" if last is None else f"{last.component}: {last.sentence}",
            ]
        )
    heads = ["seed", "fault", "victim", "right", "after s", "member", "wrong before", "pages", "load", "answers"]
    heads.append("named last")
    return Grid("Causes", heads, rows)


def _turns(trials: list[Trial]) -> Grid:
    """How each miss came about."""
    rows = [
        [str(trial.seed), trial.kind.name, f"{one.after:.1f}", one.component or "nothing", one.all]
        for trial in trials
        if not trial.right or trial.naming.wrong
        for one in trial.naming.turns
    ]
    return Grid(
        "What was named where something else was named, too", ["seed", "fault", "after s", "first", "all"], rows
    )
