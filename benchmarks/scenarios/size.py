"""size: what millions of finished runs in the hot tables cost the runs that go on."""

import asyncio
from statistics import median

from ..checks import NOTHING
from ..deployment import private_stack
from ..errors import Missing
from ..figures import Figure, Load, Target
from ..history import count_runs, fill
from ..session import Session
from ..truth import wait_for_ends
from ..workloads import W4
from .engine import WARM, at_once

#: how often each of the two has its turn
ROUNDS = 5


async def run(session: Session) -> list[Load]:
    """W4 throughput on an empty store and on a full one, by turns: machines differ from minute to minute."""
    options, full = session.options, session.deployment
    if full.state is None or full.database is None:
        raise Missing("The scenario size fills a database with made-up runs: it needs a private stack.")
    await session.prepare(W4)
    warm = await session.start_many(W4, range(WARM))
    await wait_for_ends(session.truth, warm, seconds=options.patience, left=session.show.phase("warming up"))
    done = session.show.phase(f"writing {options.finished:,} finished runs", options.finished)
    await asyncio.to_thread(fill, full.database, warm[-1], options.finished, done)
    with private_stack() as deployment:
        empty = Session.open(deployment, options, session.show)
        try:
            await empty.reach()
            await empty.prepare(W4)
            return [await _by_turns(session, empty)]
        finally:
            empty.close()


async def _by_turns(full: Session, empty: Session) -> Load:
    count, correctness = full.options.runs, NOTHING
    rates: dict[str, list[float]] = {"empty": [], "full": []}
    for turn in range(ROUNDS + 1):
        for name, session in (("empty", empty), ("full", full)):
            seconds, load = await at_once(session, W4, count, f"size.{name}", f"{count:,} W4 at once, {name}, {turn}")
            if turn:  # the first turn warms up
                rates[name].append(count / seconds)
                correctness += load.correctness
    assert full.deployment.database is not None
    finished = await asyncio.to_thread(count_runs, full.deployment.database)
    middle = {name: median(each) for name, each in rates.items()}
    told = {name: ", ".join(f"{rate:,.0f}" for rate in each) for name, each in rates.items()}
    return Load(
        name="size",
        title=f"{count:,} W4 at once, over {finished:,} finished runs",
        method=f"Two private stacks, one empty and one with finished runs, {ROUNDS} turns each after one to warm up.",
        figures=[
            Figure("size.empty", "W4 throughput, empty", middle["empty"], "workflows/s", False, note=told["empty"]),
            Figure("size.full", "W4 throughput, full", middle["full"], "workflows/s", False, note=told["full"]),
            Figure(
                "size.ratio",
                "full, of empty",
                100 * middle["full"] / middle["empty"],
                "%",
                False,
                Target(">=", 85),
                note="medians",
            ),
        ],
        correctness=correctness,
    )
