"""filters: what operations on many runs cost among 100,000 runs, and whether two people at once do it once."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from ..batches import answer_of, done_with
from ..checks import NOTHING, Correctness
from ..errors import Missing
from ..figures import Figure, Grid, Load, Target
from ..history import count_runs, fill
from ..session import Session
from ..truth import wait_for_ends
from ..workloads import FAILS, HOLDS, W4

#: runs that are cancelled, and that are retried twice at once
CANCELLED, RETRIED = 2_000, 300
#: how often each question is asked; the middle one counts
ASKED = 5
_EARLY, _LATE = "2000-01-01T00:00:00Z", "2100-01-01T00:00:00Z"


async def run(session: Session) -> list[Load]:
    """Fill the tables, ask by each filter, cancel 2,000 runs, and retry 300 twice at once."""
    options, full = session.options, session.deployment
    if full.state is None or full.database is None:
        raise Missing("The scenario filters fills a database with made-up runs: it needs a private stack.")
    for workload in (W4, HOLDS, FAILS):
        await session.prepare(workload, warm=0)
    template = await session.start_many(W4, range(2))
    await wait_for_ends(session.truth, template, seconds=options.patience, left=session.show.phase("warming up"))
    done = session.show.phase(f"writing {options.among:,} finished runs", options.among)
    await asyncio.to_thread(fill, full.database, template[-1], options.among, done)
    failed = await session.start_many(FAILS, range(RETRIED))
    await session.start_many(HOLDS, range(CANCELLED))
    among = await asyncio.to_thread(count_runs, full.database) + CANCELLED
    session.show.phase("asking by each filter")
    asked = await _ask(session)
    session.show.phase(f"cancelling {CANCELLED:,} runs")
    cancelling, cancelled = await _cancel(session)
    session.show.phase(f"retrying {RETRIED} runs twice at once")
    retrying, retried, started = await _retry_twice(session, failed)
    wrong = [
        *([] if cancelled == {"cancelled": CANCELLED} else [f"of {CANCELLED} cancelled runs: {cancelled}"]),
        *([] if retried == {"retried": RETRIED, "already_retried": RETRIED} else [f"of the retries: {retried}"]),
    ]
    return [
        Load(
            name="filters",
            title=f"Operations on many runs, among {among:,}",
            method=(
                f"Each question by each filter {ASKED} times over HTTP, one by one; the middle one counts. An "
                "operation counts from its request until its batch is done."
            ),
            figures=[
                _slowest("filters.dry_run", "slowest dry run", [row for row in asked if row[0] != "list"], 1_000),
                _slowest("filters.list", "slowest page of a list", [row for row in asked if row[0] == "list"], None),
                Figure("filters.cancel", f"{CANCELLED:,} cancelled", cancelling, "s", True, Target("<=", 2)),
                Figure("filters.retry", f"{RETRIED} retried twice at once", retrying, "s", True),
                Figure("filters.retried", "runs started by that", started, "runs", None, Target("==", RETRIED)),
            ],
            correctness=Correctness(2, 2 - len(wrong), 0, 0, len(wrong), wrong) if wrong else NOTHING,
            grids=[
                Grid(
                    "by filter",
                    ["question", "filter", "runs", "ms"],
                    [[what, name, f"{count:,}", f"{milliseconds:.0f}"] for what, name, count, milliseconds in asked],
                )
            ],
        )
    ]


def _slowest(name: str, title: str, rows: Sequence[tuple[str, str, int, float]], target: float | None) -> Figure:
    slowest = max(rows, key=lambda row: row[3])
    aim = Target("<=", target) if target is not None else None
    return Figure(name, title, slowest[3], "ms", True, aim, note=f"{slowest[0]} by {slowest[1]}")


async def _ask(session: Session) -> list[tuple[str, str, int, float]]:
    """(question, filter, runs that match, milliseconds): of each filter a dry run and a page of the list."""
    filters: dict[str, dict[str, Any]] = {
        "workflow": {"workflow": W4.workflow},
        "status": {"status": "SUCCEEDED"},
        "lane": {"lane": "standard"},
        "business key": {"business_key": "nobody"},
        "beginning of a key": {"business_key_prefix": "no"},
        "part of a key": {"business_key_contains": "bod"},
        "error code": {"error_code": "expression_error"},
        "failed step": {"failed_step": "one"},
        "created": {"created_after": _EARLY, "created_before": _LATE},
        "ended": {"ended_after": _EARLY, "ended_before": _LATE, "status": "SUCCEEDED"},
        "retried": {"retried": False, "status": "SUCCEEDED"},
    }
    rows = []
    for name, wanted in filters.items():
        retried = await _timed(session, "POST", "/runs/retry", {"filter": wanted, "dry_run": True})
        rows.append(("retry?", name, int(retried[1]["count"]), retried[0]))
        query = {key: str(value).lower() if isinstance(value, bool) else value for key, value in wanted.items()}
        listed = await _timed(session, "GET", f"/runs?{urlencode({**query, 'limit': 50})}", None)
        rows.append(("list", name, len(listed[1]["items"]), listed[0]))
    cancelled = await _timed(session, "POST", "/runs/cancel", {"filter": {"workflow": HOLDS.workflow}, "dry_run": True})
    rows.append(("cancel?", "workflow", int(cancelled[1]["count"]), cancelled[0]))
    return rows


async def _timed(session: Session, method: str, path: str, body: Any) -> tuple[float, dict[str, Any]]:
    """(milliseconds, the answer)"""
    times, answer = [], {}
    for _ in range(ASKED):
        before = time.perf_counter()
        answer = await answer_of(session, method, path, body)
        times.append((time.perf_counter() - before) * 1000)
    return sorted(times)[ASKED // 2], answer


async def _cancel(session: Session) -> tuple[float, Mapping[str, int]]:
    """(seconds, runs by outcome)"""
    before = time.perf_counter()
    body = {"filter": {"workflow": HOLDS.workflow}, "expected_count": CANCELLED, "reason": "benchmark"}
    outcomes = await done_with(session, await answer_of(session, "POST", "/runs/cancel", body))
    return time.perf_counter() - before, outcomes


async def _retry_twice(session: Session, failed: Sequence[str]) -> tuple[float, Mapping[str, int], int]:
    """(seconds, outcomes of both, runs that were started)"""
    database = session.deployment.database
    assert database is not None
    runs = await asyncio.to_thread(count_runs, database)
    before = time.perf_counter()
    body = {"filter": {"workflow": FAILS.workflow, "status": "FAILED"}, "expected_count": len(failed)}
    batches = await asyncio.gather(*(answer_of(session, "POST", "/runs/retry", body) for _ in range(2)))
    both = await asyncio.gather(*(done_with(session, batch) for batch in batches))
    seconds = time.perf_counter() - before
    outcomes: Counter[str] = Counter()
    for each in both:
        outcomes.update(each)
    # A run of FAILS ends as it starts.
    return seconds, outcomes, await asyncio.to_thread(count_runs, database) - runs
