"""pulse: what it costs to be watched. Two private stacks, one with PULSE and alerts, one without, in turns."""

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import psutil

from erip.ops.stack import control

from .. import history
from ..checks import NOTHING, Correctness
from ..client import Client
from ..deployment import Deployment, private_stack
from ..figures import Figure, Load, Target
from ..pulse import browsers, pages
from ..pulse.frames import Storage, fill
from ..pulse.viewers import Dashboard, by_api, of_console, watched
from ..resources import Usage, usage
from ..session import Session
from ..statistics import summarise
from ..truth import wait_for_ends
from ..workloads import W4
from .engine import WARM, at_once

#: percent of the throughput and of the CPU time of W4; percent of a core at rest
AT_WORK, AT_REST = 2.0, 1.0
#: milliseconds that the server may take for a page, or a query
SERVER = 50.0
#: how often each page is asked for; groups of errors, and alerts that ended
ROUNDS, GROUPS, ALERTS = 20, 5_000, 500
#: dashboards that are open at once, and requests whose latency is measured for each range
VIEWERS, QUERIES = 500, 40
RANGES = ("1h", "24h", "14d", "400d")


async def run(session: Session) -> list[Load]:
    """At work, at rest, on disk, by query, by page, by viewer. Without turns, the first two are left out."""
    database, options = session.deployment.database, session.options
    assert database is not None
    warm = await _warm(session)
    loads: list[Load] = []
    if options.turns:
        with _without() as other:
            bare = Session.open(other, options, session.show)
            try:
                await _warm(bare)
                loads += [await _at_work(session, bare), await _at_rest(session, bare)]
            finally:
                bare.close()
    session.show.phase("frames of 400 days")
    storage = await asyncio.to_thread(fill, database)
    done = session.show.phase(f"writing {options.finished:,} finished runs", options.finished)
    await asyncio.to_thread(history.fill, database, warm, options.finished, done, steps=False)
    await asyncio.to_thread(browsers.trouble, database, groups=GROUPS, alerts=ALERTS)
    assert session.deployment.state is not None
    sessions = await asyncio.to_thread(browsers.sign_in, session.deployment.state, VIEWERS)
    for measure in (_queries(session, storage), _pages(session, sessions[0]), _viewers(session, database, sessions)):
        loads.append(await measure)
        session.keep(loads)
    return loads


async def _warm(session: Session) -> str:
    """Returns the id of a finished run."""
    await session.prepare(W4)
    warm = await session.start_many(W4, range(WARM))
    await wait_for_ends(session.truth, warm, seconds=session.options.patience, left=lambda _: None)
    return warm[-1]


@contextmanager
def _without() -> Iterator[Deployment]:
    """A second stack, in which nothing is watched."""
    before = os.environ.get("ERIP_PULSE")
    os.environ["ERIP_PULSE"] = "false"
    try:
        with private_stack() as found:
            yield found
    finally:
        if before is None:
            del os.environ["ERIP_PULSE"]
        else:
            os.environ["ERIP_PULSE"] = before


def _usage(session: Session) -> Usage:
    deployment = session.deployment
    assert deployment.pid is not None
    assert deployment.state is not None
    processes = control.status(deployment.state).processes
    return usage(deployment.pid, {one.pid: one.name for one in processes if one.pid})


async def _at_work(session: Session, bare: Session) -> Load:
    """The same load on each, one after the other, the order changing from turn to turn: machines drift."""
    count, turns = session.options.runs, session.options.turns
    rates: dict[bool, list[float]] = {True: [], False: []}
    costs: dict[bool, list[float]] = {True: [], False: []}
    correctness = NOTHING
    for turn in range(turns):
        for watched_ in (True, False) if turn % 2 else (False, True):
            one = session if watched_ else bare
            before = _usage(one)
            title = f"{count:,} W4 {'with' if watched_ else 'without'} PULSE, {turn + 1} of {turns}"
            seconds, load = await at_once(one, W4, count, "pulse.work", title)
            rates[watched_].append(count / seconds)
            costs[watched_].append(1000 * (_usage(one).cpu - before.cpu) / count)
            correctness += load.correctness
    slower = 100 * (1 - statistics.median(a / b for a, b in zip(rates[True], rates[False], strict=True)))
    dearer = 100 * (statistics.median(a / b for a, b in zip(costs[True], costs[False], strict=True)) - 1)
    spread = ", ".join(f"{100 * (1 - a / b):+.1f}" for a, b in zip(rates[True], rates[False], strict=True))
    added = ", ".join(f"{100 * (a / b - 1):+.1f}" for a, b in zip(costs[True], costs[False], strict=True))
    return Load(
        name="pulse.work",
        title=f"{count:,} W4 at once with and without PULSE, {turns} turns",
        method="Medians of the turns' ratios. Both stacks run all the time, and one of them rests.",
        figures=[
            Figure("pulse.work.throughput", "throughput lost", slower, "%", True, Target("<=", AT_WORK), spread),
            Figure("pulse.work.cpu", "CPU time added", dearer, "%", True, Target("<=", AT_WORK), added),
            Figure("pulse.work.rate", "with PULSE", statistics.median(rates[True]), "workflows/s", False),
            Figure("pulse.work.rate_without", "without", statistics.median(rates[False]), "workflows/s", False),
        ],
        correctness=correctness,
    )


async def _at_rest(session: Session, bare: Session) -> Load:
    """Both rest in the same minutes, so that they share whatever else the machine does."""
    seconds = session.options.idle
    done = session.show.phase("both stacks at rest", int(seconds))
    before, begin = (_usage(session), _usage(bare)), time.perf_counter()
    while (past := time.perf_counter() - begin) < seconds:
        done(int(past))
        await asyncio.sleep(1)
    after, lasted = (_usage(session), _usage(bare)), time.perf_counter() - begin
    shares = [100 * (now.cpu - then.cpu) / lasted for then, now in zip(before, after, strict=True)]
    parts = {
        name: 100
        * (
            (after[0].cpu_by_name[name] - before[0].cpu_by_name.get(name, 0.0))
            - (after[1].cpu_by_name.get(name, 0.0) - before[1].cpu_by_name.get(name, 0.0))
        )
        / lasted
        for name in after[0].cpu_by_name
    }
    note = ", ".join(f"{name} {share:+.2f}" for name, share in sorted(parts.items(), key=lambda item: -item[1]))
    return Load(
        name="pulse.rest",
        title=f"both stacks at rest for {lasted:.0f} s",
        method="Processor time of all processes and servers; the same seconds for both. Alerts are judged and sent.",
        figures=[
            Figure(
                "pulse.rest.cost", "PULSE at rest", shares[0] - shares[1], "% of a core", True,
                Target("<=", AT_REST), note,
            ),
            Figure("pulse.rest.with", "the whole stack with PULSE", shares[0], "% of a core", True),
            Figure("pulse.rest.without", "without", shares[1], "% of a core", True),
            Figure("pulse.rest.load", "load of the machine", psutil.getloadavg()[0], "", True),
        ],
        correctness=NOTHING,
    )  # fmt: skip


async def _queries(session: Session, storage: Storage) -> Load:
    """Each with an end of its own, so that none is answered from what was read for another."""
    taken: dict[str, list[float]] = {}
    wrong = 0
    for span in RANGES:
        session.show.phase(f"GET /metrics/query over {span}")
        for number in range(QUERIES):
            end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60 - number))
            begin = time.perf_counter()
            answer = await session.client.request(
                "GET", f"/metrics/query?metric=erip_lane_waiting_steps&by=lane&range={span}&end={end}", seconds=30
            )
            taken.setdefault(span, []).append(answer.ended - begin)
            wrong += answer.status != 200
    latencies = {span: summarise(found) for span, found in taken.items()}
    megabyte = 1e6
    return Load(
        name="pulse.queries",
        title=f"queries over {storage.rows:,} frames of {storage.series} series, {session.options.finished:,} runs",
        method="GET /metrics/query by lane, one after the other, over HTTP; frames as if the site were 400 days old.",
        figures=[
            *(Figure(f"pulse.query.{span}.p95", f"query over {span}, p95", found.p95, "ms", True,
              Target("<=", SERVER)) for span, found in latencies.items()),
            _load(),
            Figure("pulse.storage.day", "frames of a day", storage.day / megabyte, "MB", True),
            Figure("pulse.storage.all", "all frames of 400 days", storage.bytes / megabyte, "MB", True),
        ],
        correctness=replace(NOTHING, wrong=wrong),
        latencies=latencies,
    )  # fmt: skip


def _load() -> Figure:
    return Figure("pulse.load", "load of the machine", psutil.getloadavg()[0], "", True)


async def _pages(session: Session, browser: str) -> Load:
    done = session.show.phase("pages of the console", ROUNDS)
    client = Client(session.deployment.url, "", base="", context=session.deployment.context)
    try:
        first, again, wrong = await pages.timed(client, browser, ROUNDS, done)
    finally:
        client.close()
    latencies = {f"/console/{page}": summarise(found) for page, found in first.items()}
    remembered = summarise(again)
    return Load(
        name="pulse.pages",
        title=f"pages of the console over {session.options.finished:,} runs, {GROUPS:,} groups of errors",
        method="Each page alone, over HTTP and compressed: when nothing of it is remembered, and once more at once.",
        figures=[
            *(Figure(f"pulse.page.{page or 'home'}.p95", f"{page or 'home'}, p95", summarise(found).p95, "ms", True,
              Target("<=", SERVER)) for page, found in first.items()),
            Figure("pulse.page.again.p95", "any page, remembered, p95", remembered.p95, "ms", True,
                   Target("<=", SERVER)),
            _load(),
        ],
        correctness=replace(NOTHING, wrong=wrong),
        latencies=latencies,
    )  # fmt: skip


async def _viewers(session: Session, database: str, sessions: Sequence[str]) -> Load:
    """Those that ask the API, and those that are pages of the console."""
    console = Client(session.deployment.url, "", base="", context=session.deployment.context)
    figures, failed = [], 0
    nobody, _, _ = await watched(database, [], session.show.note)
    try:
        kinds: dict[tuple[str, str], Callable[[int], list[Dashboard]]] = {
            ("api", "by API"): lambda count: by_api(session.client, count),
            ("console", "pages of the console"): lambda count: of_console(console, sessions, count),
        }
        for (kind, name), made in kinds.items():
            for count in (1, VIEWERS):
                session.show.phase(f"{count} open: {name}")
                found, right, wrong = await watched(database, made(count), session.show.note)
                failed += wrong
                figures.append(
                    Figure(
                        f"pulse.viewers.{kind}.{count}", f"added by {count}, {name}", found - nobody, "/s", True,
                        Target("<=", 10.0) if count > 1 else None, f"{right:,} answers",
                    )
                )  # fmt: skip
    finally:
        console.close()
    return Load(
        name="pulse.viewers",
        title=f"{VIEWERS} open dashboards",
        method="By API each asks for the health and for a chart every 5 s; in the console for the live part of one of "
        "six pages, each with a session of its own. Transactions that PostgreSQL counted.",
        figures=[
            Figure("pulse.viewers.none", "transactions/s without any", nobody, "/s", True),
            *figures,
            Figure("pulse.viewers.failed", "answers that failed", failed, "", True, Target("==", 0)),
            _load(),
        ],
        correctness=Correctness(0, 0, 0, 0, 0),
    )
