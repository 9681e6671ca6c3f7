"""engine: four trivial steps in a row (W4), so that what is measured is the engine and not its steps."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Sequence

from erip.ops.stack.state import ROOT

from ..checks import NOTHING, check
from ..errors import BenchmarkError
from ..figures import Figure, Load, Target
from ..records import RunRecord
from ..resources import Usage, spent
from ..session import Session
from ..statistics import cumulative, summarise
from ..truth import DatabaseTruth, settled, wait_for_ends
from ..workloads import FAN_OUT, ITEMS, W4, WAITS, Workload
from .cost import memory_figures, service_usage
from .latency import Aim, measure_latency, over_backlog

#: runs of the warm-up
WARM = 500


async def run(session: Session) -> list[Load]:
    """Throughput with its CPU time and memory, idle and critical latency, fan-outs, waits."""
    options = session.options
    await session.prepare(W4)
    await session.prepare(WAITS, warm=1)
    await session.prepare(FAN_OUT, warm=1)
    warm = await session.start_many(W4, range(WARM))
    await wait_for_ends(session.truth, warm, seconds=options.patience, left=session.show.phase("warming up"))
    loads = [await _throughput(session)]
    loads.append(
        await measure_latency(
            session,
            W4,
            name="engine.idle_http",
            title="W4 on an idle service, over HTTP",
            lane=None,
            count=options.count,
            rate=options.rate,
            aim=Aim(p50=Target("<=", 10), errors=Target("<", 1)),
        )
    )
    if session.deployment.state is not None:
        loads.append(await _in_process(session))
    else:
        session.left_out.append("Idle latency in process: needs a private stack.")
    loads.append(
        await over_backlog(
            session,
            W4,
            W4,
            name="engine.critical",
            title=f"critical W4 over {options.backlog:,} waiting W4",
            count=options.count,
            rate=options.rate,
            aim=Aim(p50=Target("<=", 15), p99=Target("<=", 50), errors=Target("<", 1)),
        )
    )
    loads.append(await _fan_outs(session))
    loads.append(await _waits(session))
    return loads


async def _throughput(session: Session) -> Load:
    """a) this many at once, and f) what they cost."""
    count = session.options.runs
    before, own = service_usage(session), time.process_time()
    # Before the records are read, which costs PostgreSQL more than writing them did.
    ended: list[tuple[Usage | None, float]] = []
    seconds, load = await at_once(
        session,
        W4,
        count,
        "engine.throughput",
        f"{count:,} W4 at once",
        ended=lambda: ended.append((service_usage(session), time.process_time())),
    )
    figures = [
        Figure("engine.throughput.rate", "W4 throughput", count / seconds, "workflows/s", False, Target(">=", 2_000)),
        Figure("engine.throughput.steps", "W4 throughput in steps", 4 * count / seconds, "steps/s", False),
    ]
    after, own_after = ended[0]
    if before is None or after is None:
        session.left_out.append("CPU time and memory: need a private stack.")
    else:
        cpu = after.cpu - before.cpu
        client = 1000 * (own_after - own) / count
        parts = ", ".join(f"{name} {1000 * value / count:.2f}" for name, value in spent(before, after).items())
        figures.append(
            Figure(
                "engine.cpu",
                "CPU time for 1,000 W4, all processes and servers",
                1000 * cpu / count,
                "s",
                True,
                Target("<=", 0.9),
                note=f"{parts}; not counted: this client {client:.2f}",
            )
        )
        figures += memory_figures("engine", after)
    return Load(**{**vars(load), "figures": figures})


async def _fan_outs(session: Session) -> Load:
    """d) a step for each of many items, and the step that joins them; one such run after the other."""
    count, title = session.options.fan_outs, f"{ITEMS:,}-item fan-out + join"
    taken: list[float] = []
    correctness = NOTHING
    for number in range(count):
        seconds, load = await at_once(session, FAN_OUT, 1, "engine.fan_out", f"{title}, {number + 1} of {count}")
        taken.append(seconds)
        correctness += load.correctness
    latency = summarise(taken)
    middle, worst = latency.p50 / 1000, latency.max / 1000
    return Load(
        name="engine.fan_out",
        title=title,
        method=f"{count} runs, each started when the one before had ended; {load.method.partition('; ')[2]}",
        figures=[
            Figure("engine.fan_out.p50", f"{title}: p50", middle, "s", True, Target("<=", 0.5)),
            Figure("engine.fan_out.max", f"{title}: longest", worst, "s", True),
        ],
        correctness=correctness,
        latencies={"run": latency},
    )


async def _waits(session: Session) -> Load:
    """e) steps that wait for other systems must not hold one another up."""
    count = session.options.waits
    title = f"{count} runs of four waits of 100 ms"
    seconds, load = await at_once(session, WAITS, count, "engine.waits", title)
    figure = Figure("engine.waits.seconds", title, seconds, "s", True, Target("<=", 0.8), note="ideal: 0.4 s")
    return Load(**{**vars(load), "figures": [figure]})


async def at_once(
    session: Session,
    workload: Workload,
    count: int,
    name: str,
    title: str,
    *,
    ended: Callable[[], object] = lambda: None,
) -> tuple[float, Load]:
    """Seconds from before the bulk request until all were seen to have ended, and the load without figures.

    ended: called as soon as they were.
    """
    done = session.show.phase(title, count)
    began, before = time.perf_counter(), session.put_off
    ids = await session.start_many(workload, range(count))
    accepted, put_off = time.perf_counter(), session.put_off - before
    over = await wait_for_ends(
        session.truth, ids, seconds=session.options.patience, left=lambda left: done(count - left)
    )
    ended()
    runs = await settled(session.truth, ids)
    seconds = over - began
    seen = f"until all had ended, says the database (looked every {1000 * session.truth.interval:.0f} ms)."
    if not isinstance(session.truth, DatabaseTruth):
        # Asking the API for thousands of runs takes longer than running them.
        seconds, seen = _recorded_span(runs), "until the last end that is recorded, by the deployment's clock."
    load = Load(
        name=name,
        title=title,
        method=(
            f"One bulk request with {count:,} inputs, accepted in {accepted - began:.2f} s"
            f"{f' (refused for load {put_off} times, and sent again)' if put_off else ''}; from before it {seen}"
        ),
        figures=[],
        correctness=check(workload, ids, runs),
        achieved=count / seconds,
    )
    return seconds, load


def _recorded_span(runs: Sequence[RunRecord]) -> float:
    """Seconds from the first acceptance to the last recorded end."""
    ends = [run.finished_at for run in runs if run.finished_at]
    return (max(ends) - min(run.created_at for run in runs)).total_seconds()


async def _in_process(session: Session) -> Load:
    """b) the same without HTTP, from a program that uses the engine as a library."""
    options, state = session.options, session.deployment.state
    assert state is not None
    session.show.phase("W4 on an idle service, in process")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.inprocess", str(options.count), str(options.rate)),
        cwd=ROOT,
        env={**os.environ, "ERIP_STATE_DIR": str(state.root), "DJANGO_SETTINGS_MODULE": "erip.settings.local"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode != 0:
        last = (errors.decode().strip().splitlines() or ["no word"])[-1]
        raise BenchmarkError(f"The program that measures in process failed: {last}")
    told = json.loads(output.decode().splitlines()[-1])
    runs = await settled(session.truth, told["ids"])
    latency = summarise(told["seconds"])
    name, title = "engine.idle_in_process", "W4 on an idle service, in process"
    return Load(
        name=name,
        title=title,
        method=(
            "A program calls engine.start_runs on the same schedule and waits for the announcement that is committed "
            "with the outcome; from when the start was due."
        ),
        figures=[
            Figure(f"{name}.p50", f"{title}: p50", latency.p50, "ms", True, Target("<=", 8)),
            Figure(f"{name}.p99", f"{title}: p99", latency.p99, "ms", True),
        ],
        correctness=check(W4, told["ids"], runs),
        latencies={"request": latency},
        distributions={"request": cumulative(told["seconds"])},
        offered=options.rate,
    )
