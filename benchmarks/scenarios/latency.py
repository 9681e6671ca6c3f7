"""Latency over HTTP on an open-loop schedule: what `response-times` and `engine` share."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..backlog import standing_backlog
from ..checks import Correctness, check
from ..figures import Figure, Load, Target
from ..records import RunRecord
from ..schedule import Sample, achieved_rate, error_counts, open_loop
from ..session import Session
from ..statistics import cumulative, summarise
from ..truth import settled, wait_for_ends
from ..workloads import Workload


@dataclass(frozen=True)
class Aim:
    """Targets in milliseconds and percent."""

    mean: Target | None = None
    p50: Target | None = None
    p95: Target | None = None
    p99: Target | None = None
    errors: Target | None = None


async def measure_latency(
    session: Session,
    workload: Workload,
    *,
    name: str,
    title: str,
    lane: str | None,
    count: int,
    rate: float,
    aim: Aim,
) -> Load:
    """One run per request, each of which waits for the recorded outcome."""
    await session.client.open_connections(4)
    done = session.show.phase(title, count)
    samples = await open_loop(count, rate, lambda number: session.start(workload, number, lane=lane), done=done)
    ids = [sample.answer.json()["id"] for sample in samples if sample.answer and sample.error is None]
    runs = await settled(session.truth, ids, seconds=session.options.patience)
    correctness = check(workload, ids, runs) + Correctness(count - len(ids), 0, 0, 0, 0)
    return _load(workload, name, title, rate, aim, samples, runs, correctness)


async def over_backlog(
    session: Session,
    workload: Workload,
    waiting: Workload,
    *,
    name: str,
    title: str,
    count: int,
    rate: float,
    aim: Aim,
) -> Load:
    """The same in the lane `critical`, while runs of `waiting` stand in the lane `standard`: these are checked, too."""
    size = session.options.backlog
    session.show.phase(f"backlog of {size:,} {waiting.workflow}")
    async with standing_backlog(session, waiting, size, "standard") as backlog:
        load = await measure_latency(
            session, workload, name=name, title=title, lane="critical", count=count, rate=rate, aim=aim
        )
    total = len(backlog.ids)
    done = session.show.phase("the backlog is worked off", total)
    await wait_for_ends(
        session.truth, backlog.ids, seconds=session.options.patience, left=lambda left: done(total - left)
    )
    runs = await settled(session.truth, backlog.ids, seconds=session.options.patience)
    smallest = min(backlog.sizes, default=0)
    standing = Figure(
        f"{name}.waiting", "backlog while measured, at least", smallest, "runs", None, Target(">=", size / 2)
    )
    return replace(
        load,
        figures=[*load.figures, standing],
        correctness=load.correctness + check(waiting, backlog.ids, runs),
        method=f"{load.method} Meanwhile the backlog is kept between its size and 1.5 times that.",
    )


def _load(
    workload: Workload,
    name: str,
    title: str,
    rate: float,
    aim: Aim,
    samples: Sequence[Sample],
    runs: Sequence[RunRecord],
    correctness: Correctness,
) -> Load:
    seconds: dict[str, list[float]] = defaultdict(list)
    seconds["request"] = [sample.seconds for sample in samples if sample.error is None]
    for run in runs:
        for step in run.steps:
            if step.seconds is not None:
                seconds[step.step].append(step.seconds)
    order = ("request", *workload.steps)
    latencies = {what: summarise(seconds[what]) for what in order if seconds[what]}
    errors = error_counts(samples)
    share = 100.0 * sum(errors.values()) / len(samples)
    figures = [Figure(f"{name}.errors", f"{title}: errors", share, "%", True, aim.errors)]
    if request := latencies.get("request"):
        figures += [
            Figure(f"{name}.mean", f"{title}: average", request.mean, "ms", True, aim.mean),
            Figure(f"{name}.p50", f"{title}: p50", request.p50, "ms", True, aim.p50),
            Figure(f"{name}.p95", f"{title}: p95", request.p95, "ms", True, aim.p95),
            Figure(f"{name}.p99", f"{title}: p99", request.p99, "ms", True, aim.p99),
        ]
    return Load(
        name=name,
        title=title,
        method=(
            f"{len(samples)} HTTP requests at {rate:g} per second, each of which waits for the recorded outcome "
            "(Prefer: wait); from when the request was due until the last byte of the answer. Steps: from claim "
            "to recorded outcome, by the database's clock."
        ),
        figures=figures,
        correctness=correctness,
        latencies=latencies,
        distributions={what: cumulative(seconds[what]) for what in order if seconds[what]},
        offered=rate,
        achieved=achieved_rate(samples),
        errors=errors,
    )
