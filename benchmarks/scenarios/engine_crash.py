"""engine-crash: the general worker is killed in the middle of the throughput run; nothing is lost, nothing twice."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psutil

from erip.ops.stack import control
from erip.ops.stack.state import State

from ..checks import check
from ..errors import BenchmarkError
from ..figures import Figure, Load, Target
from ..recordings import Counted, Recordings, counted
from ..records import RunRecord
from ..session import Session
from ..truth import DatabaseTruth, settled, wait_for_ends
from ..workloads import CHAIN, W4

#: the process that is killed
VICTIM = "worker-general"
#: runs of the warm-up
WARM = 500
#: seconds between two looks for the moment to kill
LOOK_EVERY = 0.005


@dataclass(frozen=True, slots=True)
class Kill:
    """One death of the worker."""

    #: by the database's clock, just after it
    at: datetime
    #: runs that had not ended
    unfinished: int
    #: runs whose claimed steps the dead worker left behind, one for each step
    held: tuple[str, ...]


async def run(session: Session) -> list[Load]:
    """W4 at once, `--kills` deaths, and what was recorded in spite of them."""
    state, truth, count = session.deployment.state, session.truth, session.options.runs
    assert state is not None
    assert isinstance(truth, DatabaseTruth)
    await session.prepare(W4)
    warm = await session.start_many(W4, range(WARM))
    await wait_for_ends(truth, warm, seconds=session.options.patience, left=session.show.phase("warming up"))
    kills: list[Kill] = []
    with counted(truth.url) as recordings:
        done = session.show.phase(f"{count:,} W4 at once, {VICTIM} is killed", count)
        began = time.perf_counter()
        ids = await session.start_many(W4, range(count))
        for number in range(session.options.kills):
            most = count - count * (number + 1) // (session.options.kills + 1)
            kills.append(await _kill(session, truth, state, recordings, ids, most))
        ended = await wait_for_ends(truth, ids, seconds=session.options.patience, left=lambda left: done(count - left))
        runs = await settled(truth, ids)
        found = recordings.count()
    return [_load(ids, runs, kills, found, ended - began)]


async def _kill(
    session: Session, truth: DatabaseTruth, state: State, recordings: Recordings, ids: Sequence[str], most: int
) -> Kill:
    """SIGKILL the worker and its children once at most `most` runs are unfinished and it holds claimed steps.

    The supervisor starts it again. Raises BenchmarkError when there is no such moment.
    """
    deadline = time.monotonic() + session.options.patience
    while True:
        unfinished = await truth.unfinished(ids)
        if not unfinished:
            raise BenchmarkError(f"All {len(ids)} runs had ended before {VICTIM} could be killed: ask for more --runs.")
        pid = next(one.pid for one in control.status(state).processes if one.name == VICTIM)
        if unfinished <= most and pid is not None and recordings.held_by(pid):
            break
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{VICTIM} was not at work within {session.options.patience:.0f} s.")
        await asyncio.sleep(LOOK_EVERY)
    worker = psutil.Process(pid)
    family = [*worker.children(recursive=True), worker]
    for process in family:
        process.kill()
    # The supervisor reaps it; until then it is a zombie, which can write no more.
    psutil.wait_procs(family, timeout=10)
    return Kill(await truth.now(), await truth.unfinished(ids), tuple(recordings.held_by(pid)))


def _load(ids: Sequence[str], runs: Sequence[RunRecord], kills: Sequence[Kill], found: Counted, seconds: float) -> Load:
    count, name, correctness = len(ids), "engine-crash", check(W4, ids, runs)
    gap, back = _recovery(runs, kills)
    held = sum(len(kill.held) for kill in kills)
    figures = [
        Figure(f"{name}.success", "succeeded in spite of it", correctness.success, "%", False, Target(">=", 100)),
        Figure(f"{name}.lost", "steps never recorded", len(CHAIN) * count - found.steps, "", True, Target("==", 0)),
        Figure(f"{name}.twice", "recordings of a step recorded before", found.twice, "", True, Target("==", 0)),
        Figure(
            f"{name}.repeated",
            "bodies that ran again",
            correctness.repeated,
            "",
            None,
            note=f"the killed worker held {held} claimed steps; runs not ended when it died: "
            + ", ".join(f"{kill.unfinished:,}" for kill in kills),
        ),
        Figure(f"{name}.gap", "killed → the next run ended, at most", gap, "s", True),
        Figure(f"{name}.recovery", "killed → the runs that it held have ended, at most", back, "s", True),
        Figure(f"{name}.rate", "W4 throughput, deaths included", count / seconds, "workflows/s", False),
    ]
    return Load(
        name=name,
        title=f"{count:,} W4 at once, {VICTIM} killed {len(kills)} times",
        method=(
            "One bulk request; the general worker gets SIGKILL while it holds claimed steps, evenly over the runs, and "
            "the supervisor starts it again. A trigger counts each recording of a step; it slows the run down."
        ),
        figures=figures,
        correctness=correctness,
        achieved=count / seconds,
    )


def _recovery(runs: Sequence[RunRecord], kills: Sequence[Kill]) -> tuple[float, float]:
    """Seconds, by the database's clock: the longest from a kill until a run ended, and until all held runs had."""
    ends = {run.id: run.finished_at for run in runs if run.finished_at}
    gap = back = 0.0
    for kill in kills:
        after = [end for end in ends.values() if end > kill.at]
        gap = max(gap, (min(after) - kill.at).total_seconds()) if after else gap
        held = [ends[run_id] for run_id in kill.held if run_id in ends]
        back = max(back, (max(held) - kill.at).total_seconds()) if held else back
    return gap, back
