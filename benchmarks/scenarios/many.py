"""many: how long it takes to pause, resume and cancel tens of thousands of runs by filter, and what became of each."""

import asyncio
import time
from collections import Counter
from contextlib import closing
from typing import Any

import psycopg2

from ..batches import answer_of, done_with
from ..checks import Correctness
from ..errors import BenchmarkError, Missing
from ..figures import Figure, Load, Target
from ..resources import spent
from ..session import Session
from ..workloads import HOLDS
from .cost import service_usage

#: an operation, its outcome, and the state of its runs afterwards
OPERATIONS = (("pause", "paused", "PAUSED"), ("resume", "resumed", "WAITING"), ("cancel", "cancelled", "CANCELLED"))
#: seconds between two looks at a batch: each counts its runs
LOOK_EVERY = 0.5
#: seconds that each may take
TARGET = 10.0
#: runs in one page of outcomes
PAGE = 200


async def run(session: Session) -> list[Load]:
    """Start runs that wait for a signal; pause all of them by filter, resume them, and cancel them."""
    many = session.options.many
    if session.deployment.state is None or session.deployment.database is None:
        raise Missing("The scenario many pauses and cancels by filter: it needs a private stack.")
    await session.prepare(HOLDS, warm=0)
    session.show.phase(f"starting {many:,} runs that wait")
    await session.start_many(HOLDS, range(many))
    figures: list[Figure] = []
    wrong: list[str] = []
    for operation, outcome, state in OPERATIONS:
        session.show.phase(f"{operation}: {many:,} runs")
        before, began = service_usage(session), time.perf_counter()
        body = {"filter": {"workflow": HOLDS.workflow}, "expected_count": many, "reason": "benchmark"}
        batch = await answer_of(session, "POST", f"/runs/{operation}", body)
        outcomes = await done_with(session, batch, look_every=LOOK_EVERY)
        seconds = time.perf_counter() - began
        after = service_usage(session)
        assert before is not None
        assert after is not None
        cpu = spent(before, after)
        note = ", ".join(f"{name} {used:.1f}" for name, used in list(cpu.items())[:3])
        figures += [
            Figure(f"many.{operation}", f"{many:,} runs: {operation}", seconds, "s", True, Target("<=", TARGET)),
            Figure(f"many.{operation}.cpu", f"{operation}: CPU", sum(cpu.values()), "s", True, note=note),
        ]
        if outcomes != {outcome: many}:
            wrong.append(f"{operation}: {dict(outcomes)}")
        listed = await _listed(session, str(batch["id"]), outcome)
        if listed != many:
            wrong.append(f"{operation}: {listed:,} runs are listed as {outcome}")
        states = await asyncio.to_thread(_states, session)
        if states != {state: many}:
            wrong.append(f"after {operation}: {states}")
    checks = 3 * len(OPERATIONS)
    return [
        Load(
            name="many",
            title=f"Pause, resume and cancel {many:,} runs by filter",
            method=(
                "Each run waits for a signal. An operation counts from its request until its batch is done; then all "
                "its outcomes are read, page by page, and the runs' states are counted in the database."
            ),
            figures=figures,
            correctness=Correctness(checks, checks - len(wrong), 0, 0, len(wrong), wrong),
        )
    ]


async def _listed(session: Session, batch: str, outcome: str) -> int:
    """How many different runs the pages of this outcome list."""
    seen: Counter[str] = Counter()
    cursor = ""
    while True:
        path = f"/batches/{batch}/runs?outcome={outcome}&limit={PAGE}{cursor}"
        page: dict[str, Any] = await answer_of(session, "GET", path, None)
        seen.update(item["run"] for item in page["items"])
        if not page["next_cursor"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    if seen and max(seen.values()) > 1:
        raise BenchmarkError("A run is on two pages of a batch's outcomes.")
    return len(seen)


def _states(session: Session) -> dict[str, int]:
    """The runs by state."""
    assert session.deployment.database is not None
    with (
        closing(psycopg2.connect(session.deployment.database, application_name="erip-benchmarks")) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "SELECT state, count(*) FROM workflows_workflowrun WHERE workflow = %s GROUP BY 1", [HOLDS.workflow]
        )
        return dict(cursor.fetchall())
