"""planner: what `manage.py plan` would say of configurations that it has not seen, against what they use."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

import psutil

from erip.ops.stack.services import workers_registered
from erip.ops.stack.state import ROOT
from monitoring.core.planning.fitting import Estimate
from monitoring.core.planning.sizing import Seen, cores
from monitoring.scaling.local import LocalDriver

from ..checks import NOTHING
from ..deployment import of_further_worker, private_stack
from ..errors import BenchmarkError, Missing
from ..figures import Figure, Load, Target
from ..resources import spent
from ..session import Session
from ..truth import wait_for_ends
from ..workloads import W4, WAITS
from .cost import service_usage

#: seconds of one load; of its beginning that is not looked at; after the last one until its frame is written
LASTS, BEGINS, WRITTEN = 50.0, 15.0, 15.0
#: starts per second of W4 and of four waits, one after the other, from whose frames the model is made
TAUGHT = ((0, 0), (20, 0), (0, 20), (40, 0), (0, 40), (20, 20), (10, 30), (40, 10))
#: seconds within which further workers are at work, and between two looks
STARTED_WITHIN, LOOK_EVERY = 120.0, 0.2
#: what counts as ours, by the name of the process
_OURS = {"web": "web", "worker-critical": "worker", "worker-general": "worker", "leader": "leader"}


@dataclass(frozen=True, slots=True)
class Unseen:
    """A configuration that the model has not seen. workers: general ones beyond the usual one."""

    title: str
    threads: int
    workers: int
    rates: tuple[int, int]


UNSEEN = (
    Unseen("4 threads in place of 16, W4 alone", 4, 0, (30, 0)),
    Unseen("a second general worker, 8 threads each", 8, 1, (25, 15)),
    Unseen("another mix: mostly waits", 16, 0, (5, 45)),
)


async def run(session: Session) -> list[Load]:
    """Teach the model on the session's stack, then hold it against three stacks of other configurations."""
    if session.deployment.state is None:
        raise Missing("The scenario planner starts stacks of other configurations: it needs private ones.")
    await _ready(session)
    spans = []
    for number, rates in enumerate(TAUGHT, start=1):
        begun, _, _ = await _put(session, rates, f"load {number} of {len(TAUGHT)}: {rates[0]} W4/s, {rates[1]} waits/s")
        spans.append((begun + BEGINS, begun + LASTS))
    await asyncio.sleep(WRITTEN)
    seen = await _frames(session, spans)
    loads: list[Load] = []
    for one in UNSEEN:
        loads.append(await _held_against(session, seen, one))
        session.keep(loads)
    return loads


async def _ready(session: Session) -> None:
    for workload in (W4, WAITS):
        await session.prepare(workload)
        warm = await session.start_many(workload, range(100))
        left = session.show.phase("warming up")
        await wait_for_ends(session.truth, warm, seconds=session.options.patience, left=left)


async def _put(session: Session, rates: tuple[int, int], title: str) -> tuple[float, tuple[float, float], float]:
    """Start runs at these rates for a while. Returns when that began, the rates that came of it, and its seconds."""
    session.show.phase(title)
    begun, due_from = time.time(), time.perf_counter()
    moments = sorted((n / rate, which) for which, rate in enumerate(rates) if rate for n in range(int(rate * LASTS)))
    tasks = []
    for number, (due, which) in enumerate(moments):
        if (early := due_from + due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        tasks.append((which, asyncio.create_task(session.start((W4, WAITS)[which], number, wait=0))))
    if (left := due_from + LASTS - time.perf_counter()) > 0:
        await asyncio.sleep(left)
    lasted = time.perf_counter() - due_from
    answers = [(which, await task) for which, task in tasks]
    if wrong := [answer.status for _, answer in answers if answer.status != 202]:
        raise BenchmarkError(f"{len(wrong)} of {len(answers)} starts were refused, the first with {wrong[0]}.")
    counts = [sum(which == one for which, _ in answers) for one in (0, 1)]
    return begun, (counts[0] / lasted, counts[1] / lasted), lasted


async def _frames(session: Session, spans: Sequence[tuple[float, float]]) -> list[Seen]:
    assert session.deployment.state is not None
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.planned", *(str(one) for span in spans for one in span)),
        cwd=ROOT,
        env={
            **os.environ,
            "ERIP_STATE_DIR": str(session.deployment.state.root),
            "DJANGO_SETTINGS_MODULE": "erip.settings.local",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode != 0:
        last = (errors.decode().strip().splitlines() or ["no word"])[-1]
        raise BenchmarkError(f"The program that reads frames failed: {last}")
    return [Seen(**one) for one in json.loads(output.decode().splitlines()[-1])]


async def _held_against(session: Session, seen: Sequence[Seen], one: Unseen) -> Load:
    with _threads(one.threads), private_stack() as deployment:
        other = Session.open(deployment, session.options, session.show)
        try:
            await other.reach()
            async with _more_workers(other, one):
                await _ready(other)
                before, scaled = service_usage(other), _time_of_scaled()
                _, rates, seconds = await _put(other, one.rates, one.title)
                after, scaled_after = service_usage(other), _time_of_scaled()
        finally:
            other.close()
    assert before is not None
    assert after is not None
    used = dict.fromkeys(("web", "worker", "leader"), 0.0)
    for name, value in spent(before, after).items():
        if name in _OURS:
            used[_OURS[name]] += value / seconds
    used["worker"] += (scaled_after - scaled) / seconds
    loads = {f"runs of {w.workflow}": rate for w, rate in zip((W4, WAITS), rates, strict=True) if rate}
    processes = {**seen[-1].processes, "worker": 2.0 + one.workers}
    found = {kind: cores(kind, loads, processes[kind], seen) for kind in used}
    return _load(one, used, found, len(seen), f"planner.{UNSEEN.index(one) + 1}")


def _load(one: Unseen, used: dict[str, float], found: dict[str, Estimate | str], points: int, name: str) -> Load:
    unknown = [f"{kind}: {estimate}" for kind, estimate in found.items() if isinstance(estimate, str)]
    if unknown:
        raise BenchmarkError(f"The model knows too little: {'; '.join(unknown)}.")
    known = [estimate for estimate in found.values() if isinstance(estimate, Estimate)]
    measured, predicted = sum(used.values()), sum(estimate.value for estimate in known)
    low, high = (sum(getattr(estimate, end) for estimate in known) for end in ("low", "high"))
    parts = ", ".join(
        f"{kind} {used[kind]:.3f} for {estimate.value:.3f}"
        for kind, estimate in found.items()
        if isinstance(estimate, Estimate)
    )
    return Load(
        name=name,
        title=one.title,
        method=(
            f"The model: frames of {len(TAUGHT)} loads on a stack of the usual configuration, {points} points. "
            f"{one.rates[0]} W4/s and {one.rates[1]} waits/s for {LASTS:.0f} s on a stack of its own, whose processor"
            " time the kernel says."
        ),
        figures=[
            Figure(f"{name}.measured", "cores of our processes, measured", measured, "cores", None, note=parts),
            Figure(
                f"{name}.predicted", "the same, predicted", predicted, "cores", None, note=f"{low:.3f} to {high:.3f}"
            ),
            Figure(
                f"{name}.error",
                "error of the prediction",
                100 * abs(predicted - measured) / measured,
                "%",
                True,
                Target("<=", 15),
            ),
        ],
        correctness=NOTHING,
    )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    kept = os.environ.get("ERIP_WORKER_THREADS")
    os.environ["ERIP_WORKER_THREADS"] = str(count)
    try:
        yield
    finally:
        if kept is None:
            del os.environ["ERIP_WORKER_THREADS"]
        else:
            os.environ["ERIP_WORKER_THREADS"] = kept


@asynccontextmanager
async def _more_workers(session: Session, one: Unseen) -> AsyncIterator[None]:
    """They are at work when the block begins: what a start costs is not what work costs."""
    state, database = session.deployment.state, session.deployment.database
    assert state is not None
    assert database is not None
    driver = LocalDriver(env=of_further_worker(state), log=state.root / "scaled.log", threads=one.threads, grace=25.0)
    driver.scale(one.workers)
    try:
        until = time.monotonic() + STARTED_WITHIN
        while len(pids := {process.pid for process in _scaled()}) < one.workers or not await asyncio.to_thread(
            workers_registered, database, pids
        ):
            if time.monotonic() > until:
                raise BenchmarkError(f"The further workers were not at work within {STARTED_WITHIN:.0f} s.")
            await asyncio.sleep(LOOK_EVERY)
        yield
    finally:
        driver.close()


def _scaled() -> list[psutil.Process]:
    """The workers that this program started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if any(word.startswith("scaled-") for word in process.cmdline()):
                found.append(process)
    return found


def _time_of_scaled() -> float:
    """Their processor time in seconds."""
    used = 0.0
    for process in _scaled():
        with suppress(psutil.NoSuchProcess):
            used += sum(process.cpu_times()[:2])
    return used
