"""starts: single starts over HTTP by several callers at once; each sends its next one when the last was accepted."""

import asyncio
import time

from ..checks import check
from ..errors import BenchmarkError
from ..figures import Figure, Load
from ..resources import spent
from ..session import Session
from ..statistics import summarise
from ..truth import settled, wait_for_ends
from ..workloads import W4
from .cost import service_usage

#: callers at once
CALLERS = (1, 8, 64)
#: runs of the warm-up, by as many callers as there are at the most
WARM = 500


async def run(session: Session) -> list[Load]:
    """A third of `--runs` for each number of callers."""
    await session.prepare(W4)
    warm, _ = await _start(session, WARM, max(CALLERS))
    await wait_for_ends(session.truth, warm, seconds=session.options.patience, left=session.show.phase("warming up"))
    return [await _load(session, callers, max(1, session.options.runs // len(CALLERS))) for callers in CALLERS]


async def _start(session: Session, count: int, callers: int) -> tuple[list[str], list[float]]:
    """The ids of the runs, and the seconds until each was accepted. Raises BenchmarkError for one that was not."""
    numbers, ids, seconds = iter(range(count)), list[str](), list[float]()

    async def one() -> None:
        for number in numbers:
            began = time.perf_counter()
            answer = await session.start(W4, number, wait=0)
            if answer.status != 202:
                raise BenchmarkError(f"A start was answered {answer.status}: {answer.body[:300]!r}")
            ids.append(answer.json()["id"])
            seconds.append(answer.ended - began)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(callers):
            tasks.create_task(one())
    return ids, seconds


async def _load(session: Session, callers: int, count: int) -> Load:
    name, title = f"starts.{callers}", f"{count:,} single starts by {callers} callers at once"
    done = session.show.phase(title, count)
    before, began = service_usage(session), time.perf_counter()
    ids, seconds = await _start(session, count, callers)
    accepted = time.perf_counter() - began
    ended = await wait_for_ends(
        session.truth, ids, seconds=session.options.patience, left=lambda left: done(count - left)
    )
    after = service_usage(session)
    latency = summarise(seconds)
    figures = [
        Figure(f"{name}.rate", f"{title}: accepted", count / accepted, "starts/s", False),
        Figure(f"{name}.ended", f"{title}: until all have ended", count / (ended - began), "workflows/s", False),
        Figure(f"{name}.p50", f"{title}: until accepted, p50", latency.p50, "ms", True),
        Figure(f"{name}.p99", f"{title}: until accepted, p99", latency.p99, "ms", True),
    ]
    if before is None or after is None:
        session.left_out.append("CPU time: needs a private stack.")
    else:
        parts = ", ".join(f"{one} {1000 * used / count:.2f}" for one, used in spent(before, after).items())
        cpu = 1000 * (after.cpu - before.cpu) / count
        figures.append(Figure(f"{name}.cpu", f"{title}: CPU time for 1,000", cpu, "s", True, note=parts))
    return Load(
        name=name,
        title=title,
        method="Over HTTP, each answered with 202; a caller sends its next start when the last was accepted.",
        figures=figures,
        correctness=check(W4, ids, await settled(session.truth, ids)),
        latencies={"request": latency},
        achieved=count / accepted,
    )
