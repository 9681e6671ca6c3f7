"""concurrent-workflows: many at once, of three kinds, with their real steps."""

import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from ..checks import NOTHING, Correctness, check
from ..figures import Figure, Load, Target
from ..records import RunRecord
from ..schedule import achieved_rate, error_counts, open_loop
from ..session import Session
from ..statistics import Summary, cumulative, summarise
from ..truth import DatabaseTruth, settled, wait_for_ends
from ..workloads import MIXED, Workload
from .cost import memory_figures, service_usage

#: this many callers can wait at once, each on a connection of its own; more are started in bulk
WAITING_CALLERS = 500
CLAIMED = 150
#: seconds; 150 at once
AVERAGE = 10.0


async def run(session: Session) -> list[Load]:
    count = session.options.in_flight
    for workload in MIXED:
        await session.prepare(workload, warm=2)
    if count <= WAITING_CALLERS:
        return [await _with_callers(session, count)]
    return [await _in_bulk(session, count)]


async def _with_callers(session: Session, count: int) -> Load:
    """One caller for each run, who waits for the outcome."""
    kinds = [MIXED[number % len(MIXED)] for number in range(count)]
    await session.client.open_connections(count)
    done = session.show.phase(f"{count} workflows at once", count)
    samples = await open_loop(count, None, lambda number: session.start(kinds[number], number), done=done)
    right = [sample for sample in samples if sample.error is None and sample.answer]
    seconds: dict[str, list[float]] = defaultdict(list)
    ids: dict[str, list[str]] = defaultdict(list)
    for sample in right:
        assert sample.answer is not None
        kind = kinds[sample.index]
        seconds["request"].append(sample.seconds)
        seconds[kind.workflow].append(sample.seconds)
        ids[kind.workflow].append(sample.answer.json()["id"])
    correctness = await _check(session, ids)
    # A caller that got no answer in time counts as not succeeded, whatever happened to the run.
    correctness += Correctness(count - len(right), 0, 0, 0, 0)
    return _load(
        session,
        f"{count} callers start one workflow each at the same moment and wait for its outcome (Prefer: wait); "
        "from then until the answer.",
        seconds,
        correctness,
        achieved=achieved_rate(samples),
        errors=error_counts(samples),
    )


async def _in_bulk(session: Session, count: int) -> Load:
    """Too many for a waiting caller each: one request per kind starts them; their ends are read from the records."""
    shares = {kind: range(place, count, len(MIXED)) for place, kind in enumerate(MIXED)}
    truth = session.truth
    began = time.perf_counter()
    clock = await truth.now() if isinstance(truth, DatabaseTruth) else datetime.now(UTC)
    ids = {kind.workflow: await session.start_many(kind, numbers) for kind, numbers in shares.items()}
    everyone = [run_id for some in ids.values() for run_id in some]
    done = session.show.phase(f"{count} workflows in flight", count)
    patience = max(session.options.patience, count * 0.5)
    ended = await wait_for_ends(truth, everyone, seconds=patience, left=lambda left: done(count - left))
    seconds: dict[str, list[float]] = defaultdict(list)
    correctness = await _check(session, ids, into=seconds, since=clock)
    return _load(
        session,
        f"{count} workflows are accepted by bulk requests; from before the first request until each recorded end, by "
        "the database's clock.",
        seconds,
        correctness,
        achieved=count / (ended - began),
        errors={},
    )


async def _check(
    session: Session,
    ids: dict[str, list[str]],
    *,
    into: dict[str, list[float]] | None = None,
    since: datetime | None = None,
) -> Correctness:
    correctness = NOTHING
    kinds: dict[str, Workload] = {kind.workflow: kind for kind in MIXED}
    for workflow, some in ids.items():
        done = session.show.phase(f"checking {workflow}", len(some))
        runs = await settled(session.truth, some, seconds=session.options.patience)
        done(len(runs))
        correctness += check(kinds[workflow], some, runs)
        if into is not None and since is not None:
            _durations(runs, since, into, workflow)
    return correctness


def _durations(runs: Sequence[RunRecord], since: datetime, into: dict[str, list[float]], workflow: str) -> None:
    found = [(run.finished_at - since).total_seconds() for run in runs if run.finished_at]
    into[workflow] += found
    into["request"] += found


def _load(
    session: Session,
    method: str,
    seconds: dict[str, list[float]],
    correctness: Correctness,
    *,
    achieved: float,
    errors: dict[str, int],
) -> Load:
    count = session.options.in_flight
    latencies: dict[str, Summary] = {name: summarise(values) for name, values in sorted(seconds.items()) if values}
    name = f"concurrent-workflows.{count}"
    # The claim covers 150 and fewer; above that, our aim is that every single one succeeds.
    success = Target(">", 95, claim=True) if count <= CLAIMED else Target(">=", 100)
    figures = [Figure(f"{name}.success", f"{count} in flight: succeeded", correctness.success, "%", False, success)]
    if overall := latencies.get("request"):
        average = Target("<", AVERAGE, claim=True) if count <= CLAIMED else None
        figures.append(Figure(f"{name}.mean", f"{count} in flight: average", overall.mean / 1000, "s", True, average))
        figures.append(Figure(f"{name}.p95", f"{count} in flight: p95", overall.p95 / 1000, "s", True))
    figures.append(Figure(f"{name}.rate", f"{count} in flight: rate", achieved, "workflows/s", False))
    if (now := service_usage(session)) is not None:
        figures += memory_figures(name, now)
    return Load(
        name=name,
        title=f"{count} workflows in flight",
        method=method,
        figures=figures,
        correctness=correctness,
        latencies=latencies,
        distributions={name: cumulative(values) for name, values in sorted(seconds.items())},
        achieved=achieved,
        errors=errors,
    )
