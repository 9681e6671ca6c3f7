"""engine-crash: the general worker is killed, frozen and cut off in the middle of the throughput run; nothing is lost,
nothing recorded twice."""

import time
from collections.abc import Sequence

from ..checks import check
from ..figures import Figure, Load, Target
from ..recordings import Counted, counted
from ..records import RunRecord
from ..session import Session
from ..strikes import VICTIM, Batches, Fault, Strike, Striker
from ..truth import DatabaseTruth, settled, wait_for_ends
from ..workloads import CHAIN, W4

#: runs of the warm-up
WARM = 500


async def run(session: Session) -> list[Load]:
    """W4 at once, `--kills` deaths, a frozen worker and a cut connection, and what was recorded in spite of them."""
    truth, options = session.truth, session.options
    assert isinstance(truth, DatabaseTruth)
    await session.prepare(W4)
    warm = await session.start_many(W4, range(WARM))
    await wait_for_ends(truth, warm, seconds=options.patience, left=session.show.phase("warming up"))
    faults = [*[Fault.KILLED] * options.kills, Fault.FROZEN, Fault.CUT]
    batches, strikes = Batches(session, truth, W4, options.runs), []
    with counted(truth.url) as recordings:
        striker = Striker(session, recordings, batches)
        session.show.phase(f"{options.runs:,} W4 at once, {VICTIM} is hit")
        began = time.perf_counter()
        try:
            batches.start()
            for number, fault in enumerate(faults, start=1):
                share = options.runs * number // (len(faults) + 1)
                strikes.append(await striker.strike(fault, after=len(CHAIN) * share))
            ids = await batches.answered()
        finally:
            batches.give_up()
        left = session.show.phase(f"{len(ids):,} W4", len(ids))
        ended = await wait_for_ends(truth, ids, seconds=options.patience, left=lambda n: left(len(ids) - n))
        runs = await settled(truth, ids)
        found = recordings.count()
    return [_load(ids, runs, strikes, found, ended - began)]


def _load(
    ids: Sequence[str], runs: Sequence[RunRecord], strikes: Sequence[Strike], found: Counted, seconds: float
) -> Load:
    count, name, correctness = len(ids), "engine-crash", check(W4, ids, runs)
    gap, back = _recovery(runs, strikes)
    in_chunks = sum(len(strike.held.in_chunks) for strike in strikes)
    told = "; ".join(f"{strike.fault}: {len(strike.held.runs)} of {_unfinished(runs, strike):,}" for strike in strikes)
    figures = [
        Figure(f"{name}.runs", "runs started", count, "runs"),
        Figure(f"{name}.success", "succeeded in spite of it", correctness.success, "%", False, Target(">=", 100)),
        Figure(f"{name}.lost", "steps never recorded", len(CHAIN) * count - found.steps, "", True, Target("==", 0)),
        Figure(f"{name}.twice", "recordings of a step recorded before", found.twice, "", True, Target("==", 0)),
        Figure(
            f"{name}.held",
            "runs in its hands when it was hit",
            sum(len(strike.held.runs) for strike in strikes),
            "runs",
            None,
            Target(">=", 1),
            note=f"{in_chunks} of them in chunks; of those that had not ended, {told}",
        ),
        Figure(
            f"{name}.repeated",
            "steps with more than one attempt",
            correctness.repeated,
            "",
            None,
            note="a run that was in a lost chunk begins anew, with first attempts",
        ),
        Figure(f"{name}.gap", "hit → the next run ended, at most", gap, "s", True),
        Figure(f"{name}.recovery", "hit → the runs that it held have ended, at most", back, "s", True),
        Figure(f"{name}.rate", "W4 throughput, faults included", count / seconds, "workflows/s", False),
    ]
    return Load(
        name=name,
        title=f"{count:,} W4 at once, {VICTIM} hit {len(strikes)} times",
        method=(
            "One bulk request, and another one each time all runs had ended before the next fault. Evenly over the "
            "runs, while the general worker holds some of a chunk, it gets SIGKILL, and the supervisor starts it "
            "again; then it stands still until its lease is over and others have what it held; then the server ends "
            "each of its connections. A trigger counts each recording of a step; it slows the run down."
        ),
        figures=figures,
        correctness=correctness,
        achieved=count / seconds,
    )


def _unfinished(runs: Sequence[RunRecord], strike: Strike) -> int:
    """How many of the runs that were there had not ended."""
    there = [run for run in runs if run.created_at <= strike.at]
    return sum(run.finished_at is None or run.finished_at > strike.at for run in there)


def _recovery(runs: Sequence[RunRecord], strikes: Sequence[Strike]) -> tuple[float, float]:
    """Seconds, by the database's clock: the longest from a fault until a run ended, and until all held runs had."""
    ends = {run.id: run.finished_at for run in runs if run.finished_at}
    gap = back = 0.0
    for strike in strikes:
        after = [end for end in ends.values() if end > strike.at]
        gap = max(gap, (min(after) - strike.at).total_seconds()) if after else gap
        held = [ends[run_id] for run_id in strike.held.runs if run_id in ends]
        back = max(back, (max(held) - strike.at).total_seconds()) if held else back
    return gap, back
