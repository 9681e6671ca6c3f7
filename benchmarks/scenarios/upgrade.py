"""upgrade: what clients see while an older release becomes this one, and this one the older one again."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random

from ..errors import BenchmarkError, Usage
from ..figures import Figure, Grid, Load, Target
from ..session import Session
from ..truth import DatabaseTruth
from ..upgrade import rows
from ..upgrade.turns import Turns
from ..uptime import figures, present
from ..uptime.availability import availability, by_operation, errors
from ..uptime.fleet import put_on
from ..uptime.operations import Operation, Runs, of_runs
from ..uptime.outages import outages
from ..uptime.recorded import Recorded
from ..uptime.retries import BUDGET, TRIES
from ..uptime.samples import Sample
from ..uptime.settling import settle
from ..workloads import THREAT, W4, WAITS
from . import uptime

#: seconds of load at the most; it ends with the last turn
LONGEST = 3600.0
#: seconds that nobody may wait longer for
STALL = 1.0


@contextmanager
def only_one() -> Iterator[None]:
    """What went wrong in one of several tasks, as if there were no others."""
    try:
        yield
    except* BenchmarkError as group:
        raise group.exceptions[0] from None


async def run(session: Session) -> list[Load]:
    """The fleet, the turns, and what was promised against what is recorded."""
    deployment, options = session.deployment, session.options
    if deployment.release is None or deployment.database is None:
        raise Usage("upgrade needs a stack of its own, of an older release: call it alone, without --url.")
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    random = Random(seed)  # noqa: S311  # nosec B311 (a load, not a secret)
    samples: list[Sample] = []
    for workload in (W4, WAITS, THREAT):
        await session.prepare(workload)
    session.show.phase(f"{options.rows:,} rows")
    await asyncio.to_thread(rows.fill, deployment.database, options.rows)
    recorded = Recorded(deployment.database)
    turns = Turns(deployment, deployment.release, lambda said: session.show.phase(said), [])
    with uptime._ledger() as (ledger, path), recorded.counting() as counted:
        runs = Runs(session.client, ledger, random)
        operations: dict[Operation, int] = of_runs(runs)
        events = await uptime._events(session, runs)
        if events is not None:
            operations[events] = uptime.EVENTS_WEIGHT
        over = asyncio.Event()

        async def turn() -> None:
            try:
                await turns.run()
            finally:
                over.set()

        with rows.Writer(deployment.database, options.rows) as writer, only_one():
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(turn())
                begin, end = await put_on(
                    operations, rate=options.fleet, seconds=LONGEST, random=random, samples=samples,
                    done=lambda _: None, over=over.is_set,
                )  # fmt: skip
        session.show.phase("waiting until everything has ended")
        truth = DatabaseTruth(deployment.database)
        try:
            source = events.source if events is not None else None
            settled = await settle(ledger, prefix=runs.prefix, source=source, recorded=recorded, truth=truth)
        finally:
            truth.close()
        twice = counted().twice
    if settled.correctness.right:
        path.unlink()
    else:
        kept = [*settled.correctness.faults, f"what was promised: {path}"]
        settled = replace(settled, correctness=replace(settled.correctness, faults=kept))
    found = outages(samples, turns.marks, end)
    every = availability(samples)
    all_rows, wrong = await asyncio.to_thread(rows.wrong, deployment.database)
    none = Target("==", 0, claim=True)
    stall = max([one.gap for one in found] + [one.seconds for each in samples for one in each.tries if one.right])
    return [
        Load(
            name="upgrade",
            title=f"{deployment.release.before[:8]} → {deployment.release.after[:8]} → back, twice",
            method=(
                f"Seed {seed}. The stack is started by the older release. Open loop; clients make {TRIES} tries within "
                f"{BUDGET:g} s under one idempotency key, and every answer is checked. Process by process: migrate, "
                "one of each replaced, the rows filled, the others replaced, then all back. All at once: as make "
                "upgrade does it, forward and back."
            ),
            figures=[
                Figure("upgrade.failed", "operations failed after retries", every.asked - every.right, "", True, none),
                Figure("upgrade.at_once", "answered rightly without retries", every.percent_at_once, "%", False),
                Figure("upgrade.stall", "longest stall", stall, "s", True, Target("<", STALL)),
                *figures.of_ledger(settled.findings, twice=twice, events=events is not None, drained=settled.drained),
                Figure("upgrade.rows", "rows of the migrated table", all_rows, ""),
                Figure("upgrade.rows.wrong", "rows whose new column is wrong", wrong, "", True, none),
                Figure("upgrade.filled", "rows filled in the background, in", turns.filled, "s", True),
                Figure(
                    "upgrade.writer", "longest write of that table meanwhile", writer.longest, "s", True,
                    Target("<", STALL), f"{writer.written:,} writes, {writer.failed} of them tried again",
                ),
            ],
            correctness=settled.correctness,
            latencies=present.latencies(by_operation(samples)),
            offered=options.fleet,
            achieved=every.right / (end - begin),
            errors=errors(samples),
            grids=[
                present.operations(by_operation(samples)),
                replace(present.faults(found, begin), title="Turns"),
                Grid("upgrade --plan, before", [""], [[line] for line in turns.plan.splitlines() if line]),
            ],
            timeline=present.timeline(samples, found, begin, end),
        )
    ]  # fmt: skip
