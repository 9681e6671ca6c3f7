"""Runs that are accepted, taken and recorded together.

Note [Chunks]
What a run costs in PostgreSQL follows the rows and index entries that are written for it. A run that was started alone
has a row for its first step from its start, which changes when it is claimed and when it ends. Runs of a chain (Note
[Chains] in `core/chain`) that were started together have no such rows: what is ready is their *chunk*, one row that is
taken, and ended, for all of them. Their steps' rows are written once, with their outcomes.

So a run that is PENDING at `seq` 0 and has no rows of steps is in a chunk, and what else can happen to it happens first
to its rows: it *leaves* the chunk, which gives it the rows that a run started alone would have. A cancellation, a
pause, a deadline, a step that fails or takes long, a worker that ends: each lets runs leave, and everything after that
is as for any other run. Whatever makes a run leave raises its `seq`, and an outcome is recorded only at `seq` 0: so
each run is recorded once, by its chunk or outside of it.

A chunk is taken once. The worker that has it records outcomes as long as the row is there and bears its name. If it is
lost, the leader lets the chunk's runs leave, and removes the row: what the worker reports afterwards finds nothing. So
a step that kills its workers does so to one run alone, and is given up like any other.

Lock order: the chunk, then its runs in the order of their ids.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import connection, transaction

from erip.audit import starts as audit
from erip.foundation.db import prepared
from erip.foundation.db.failures import ERRORS, is_passing
from erip.foundation.values import value
from workflows.core.graph import Graph
from workflows.core.machine import RunStarted
from workflows.core.states import RunState
from workflows.store.checkpoints import apply
from workflows.store.timings import WAITS, runs_ended
from workflows.store.values import RUN_ENDED_CHANNEL, NewRun, Report, from_json, to_array, to_json

log = structlog.get_logger(__name__)

#: before the number of a chunk, where the ids of runs are named as well
TOKEN = "chunk:"  # noqa: S105
#: milliseconds that runs may stand still on their way out of a chunk
FROZEN_AFTER = 10_000
#: hours for which a version with a slow step is not accepted in chunks
SLOW_FOR = 1


@value
class ChunkRun:
    """A run that is still in its chunk."""

    id: str
    business_key: str | None
    input: Any
    created_at: datetime
    deadline_at: datetime | None


@dataclass(frozen=True, slots=True, eq=False)
class TakenChunk:
    """A chunk that this worker has."""

    id: int
    version_id: int
    workflow: str
    lane: str
    runs: tuple[ChunkRun, ...]


@value
class StepDone:
    """A step that succeeded at its first attempt. Times by this process's `time.monotonic`; JSON as text."""

    step: str
    input: str
    output: str
    began: float
    ended: float


@value
class RunDone:
    """A run all of whose steps succeeded."""

    run: ChunkRun
    output: Any
    steps: tuple[StepDone, ...]


def token(chunk_id: int) -> str:
    return f"{TOKEN}{chunk_id}"


def split(tokens: Iterable[str]) -> tuple[list[str], list[int]]:
    """(ids of runs, numbers of chunks)."""
    runs: list[str] = []
    chunks: list[int] = []
    for one in tokens:
        if one.startswith(TOKEN):
            chunks.append(int(one.removeprefix(TOKEN)))
        else:
            runs.append(one)
    return runs, chunks


# --- accepting ---


_ACCEPT = f"""
INSERT INTO workflows_workflowrun (
    id, version_id, workflow, business_key, lane, state, input, started_by, notify, created_at, deadline_at)
SELECT v.id, %s, %s, v.business_key, %s, 'PENDING', v.input::jsonb, %s, %s, %s,
       %s::timestamptz + make_interval(secs => %s::float8)
FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS v (id, business_key, input);
{audit.VALUES};
INSERT INTO workflows_chunk (version_id, lane, size, runs)
SELECT %s, %s, cardinality(v.runs::uuid[]), v.runs::uuid[] FROM unnest(%s::text[]) AS v (runs) RETURNING id
"""  # noqa: S608  (made of constants)


def insert_in_chunks(runs: Sequence[NewRun], *, size: int) -> list[tuple[str, str]]:
    """Insert runs of one version and lane, with the same `started_by`, moment and timeout, and with empty plans, in
    chunks of `size`. One round trip; needs no transaction. Returns the hints to publish after commit."""
    first = runs[0]
    ids = [run.id for run in runs]
    chunks = ["{" + ",".join(ids[start : start + size]) + "}" for start in range(0, len(ids), size)]
    at = first.view.created_at
    parameters = [
        first.version_id, first.view.workflow, first.view.lane, first.started_by, first.notify, at, at, first.timeout,
        to_array(ids), to_array(run.view.business_key for run in runs),
        to_array(to_json(run.view.input) for run in runs),
        *audit.started(first.started_by, [first.view.workflow], ids),
        first.version_id, first.view.lane, to_array(chunks),
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_ACCEPT, parameters)
        return [(first.view.lane, token(row[0])) for row in cursor.fetchall()]


def slow_versions() -> frozenset[int]:
    """The versions whose runs are not accepted in chunks for now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version_id FROM workflows_slowversion WHERE until > now()")
        return frozenset(row[0] for row in cursor.fetchall())


def note_slow(version_id: int) -> None:
    """A step of this version took long."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO workflows_slowversion (version_id, until) VALUES (%s, now() + make_interval(hours => %s))
            ON CONFLICT (version_id) DO UPDATE SET until = excluded.until
            """,
            [version_id, SLOW_FOR],
        )


# --- taking ---


_TAKE = """
WITH taken AS (
    UPDATE workflows_chunk SET worker_id = %(worker)s
    WHERE id = ANY(%(chunks)s::bigint[]) AND worker_id IS NULL AND lane = ANY(%(lanes)s::text[])
    RETURNING id, version_id, lane, runs, extract(epoch FROM clock_timestamp() - ready_at)::float8 AS waited
)
SELECT t.id, t.version_id, t.lane, t.waited, r.id::text, r.workflow, r.business_key, r.input::text, r.created_at,
       r.deadline_at
FROM taken t CROSS JOIN LATERAL unnest(t.runs) WITH ORDINALITY AS named (id, place)
LEFT JOIN workflows_workflowrun r ON r.id = named.id AND r.seq = 0 AND r.state = 'PENDING'
ORDER BY t.id, named.place
"""


def take(chunk_ids: Iterable[int], *, worker_id: int, lanes: Sequence[str]) -> list[TakenChunk]:
    """Take those of these chunks that nobody has, with the runs that are still in them. Needs no transaction.

    The commit is not waited for: if it is lost, the chunk is as it was, and this worker's outcomes find nothing.
    """
    parameters = {"worker": worker_id, "chunks": to_array(chunk_ids), "lanes": to_array(lanes)}
    with connection.cursor() as cursor:
        prepared.execute(cursor, _TAKE, parameters, settings_first="SET LOCAL synchronous_commit = off;\n")
        rows = cursor.fetchall()
    found: dict[int, list[Any]] = {}
    runs: dict[int, list[ChunkRun]] = defaultdict(list)
    for chunk_id, version_id, lane, waited, run_id, workflow, key, input_, created_at, deadline_at in rows:
        found.setdefault(chunk_id, [version_id, "", lane])
        if run_id is not None:
            found[chunk_id][1] = workflow
            runs[chunk_id].append(ChunkRun(run_id, key, from_json(input_), created_at, deadline_at))
            WAITS.observe((lane,), waited)
    return [
        TakenChunk(chunk_id, version_id, workflow, lane, tuple(runs[chunk_id]))
        for chunk_id, (version_id, workflow, lane) in found.items()
    ]


# --- recording ---


_RECORD = f"""
WITH chunk AS (
    SELECT id FROM workflows_chunk WHERE id = ANY(%s::bigint[]) AND worker_id = %s ORDER BY id FOR UPDATE
), gone AS (
    DELETE FROM workflows_chunk WHERE id = ANY(%s::bigint[]) AND id IN (SELECT id FROM chunk)
), won AS (
    UPDATE workflows_workflowrun r
    SET seq = 1, state = 'SUCCEEDED', output = v.output::jsonb, finished_at = clock_timestamp(),
        started_at = statement_timestamp() - make_interval(secs => v.began)
    FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::float8[]) AS v (id, chunk, output, began)
    WHERE r.id = v.id AND r.seq = 0 AND r.state = 'PENDING' AND v.chunk IN (SELECT id FROM chunk)
    RETURNING r.id, r.notify, r.lane
), steps AS (
    INSERT INTO workflows_steprun (
        run_id, step, item, state, lane, attempt, worker_id, input, output, ready_at, started_at, finished_at)
    SELECT won.id, v.step, -1, 'SUCCEEDED', won.lane, 1, %s::bigint, v.input::jsonb, v.output::jsonb,
           statement_timestamp() - make_interval(secs => v.began),
           statement_timestamp() - make_interval(secs => v.began),
           statement_timestamp() - make_interval(secs => v.ended)
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::float8[], %s::float8[])
      AS v (run_id, step, input, output, began, ended)
    JOIN won ON won.id = v.run_id
)
SELECT id::text, CASE WHEN notify THEN pg_notify('{RUN_ENDED_CHANNEL}', id::text) END FROM won
"""  # noqa: S608  (made of constants)


def record(done: Iterable[tuple[TakenChunk, RunDone]], *, worker_id: int, ended: Iterable[int]) -> set[str]:
    """Record these runs as SUCCEEDED, with their steps, where their chunks are still this worker's and nothing else
    has happened to them. ended: the chunks of which nothing is left. One statement; needs no transaction.

    Returns the ids of the runs that were recorded. Asked once more after an answer that was lost, it records none
    twice.
    """
    now = time.monotonic()
    # In the order in which everybody locks runs.
    runs = sorted(done, key=lambda pair: pair[1].run.id)
    steps = [(one.run.id, step) for _, one in runs for step in one.steps]
    over = list(ended)
    parameters: list[Any] = [
        to_array(sorted({*over, *(chunk.id for chunk, _ in runs)})), worker_id, to_array(over),
        to_array(one.run.id for _, one in runs), to_array(chunk.id for chunk, _ in runs),
        to_array(to_json(one.output) for _, one in runs), to_array(now - one.steps[0].began for _, one in runs),
        worker_id,
        to_array(run_id for run_id, _ in steps), to_array(step.step for _, step in steps),
        to_array(step.input for _, step in steps), to_array(step.output for _, step in steps),
        to_array(now - step.began for _, step in steps), to_array(now - step.ended for _, step in steps),
    ]  # fmt: skip
    with connection.cursor() as cursor:
        prepared.execute(cursor, _RECORD, parameters)
        won = {row[0] for row in cursor.fetchall()}
    runs_ended(
        (one.run.id, chunk.workflow, RunState.SUCCEEDED, one.run.created_at) for chunk, one in runs if one.run.id in won
    )
    return won


# --- leaving ---


def leave(
    reports: Mapping[str, Sequence[Report]],
    *,
    chunk_id: int,
    worker_id: int,
    graph_of: Callable[[int], Graph],
    ended: bool = False,
) -> list[tuple[str, str]]:
    """Let runs leave their chunk, if it is still this worker's. Needs a transaction. Returns the hints to publish.

    reports: what has happened to each run so far; nothing, for one that was not begun. ended: nothing is left in the
    chunk.
    """
    with connection.cursor() as cursor:
        # A worker that freezes here must not keep its runs from others until its transaction is given up.
        cursor.execute(
            f"SET LOCAL idle_in_transaction_session_timeout = {FROZEN_AFTER};"  # noqa: S608  (a constant)
            " SELECT 1 FROM workflows_chunk WHERE id = %s AND worker_id = %s FOR UPDATE",
            [chunk_id, worker_id],
        )
        if cursor.fetchone() is None:
            return []
    hints, unreadable = _leave(reports, graph_of=graph_of, reporter=worker_id)
    if ended:
        _end(chunk_id, free=bool(unreadable))
    return hints


def _end(chunk_id: int, *, free: bool) -> None:
    """Remove a chunk; or, if it holds runs that this release cannot read, free it for a worker that can."""
    with connection.cursor() as cursor:
        if free:
            cursor.execute(
                "UPDATE workflows_chunk SET worker_id = NULL, ready_at = now(), hinted_at = now() WHERE id = %s",
                [chunk_id],
            )
        else:
            cursor.execute("DELETE FROM workflows_chunk WHERE id = %s", [chunk_id])


def let_go(run_ids: Iterable[str], *, graph_of: Callable[[int], Graph]) -> tuple[list[tuple[str, str]], set[str]]:
    """Let those of these runs that are in a chunk leave it, with nothing done. Needs a transaction, in which the runs
    stay locked. Returns the hints to publish, and the runs that stay since this release cannot read them."""
    return _leave(dict.fromkeys(run_ids, ()), graph_of=graph_of)


def _leave(
    reports: Mapping[str, Sequence[Report]], *, graph_of: Callable[[int], Graph], reporter: int | None = None
) -> tuple[list[tuple[str, str]], set[str]]:
    if not reports:
        return [], set()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT r.id FROM workflows_workflowrun r
            WHERE r.id = ANY(%s::uuid[]) AND r.seq = 0 AND r.state = 'PENDING'
              AND NOT EXISTS (SELECT FROM workflows_steprun s WHERE s.run_id = r.id)
            ORDER BY r.id FOR NO KEY UPDATE
            """,
            [to_array(reports)],
        )
        inside = [str(row[0]) for row in cursor.fetchall()]
        began = {run_id: own[0].at for run_id in inside if (own := reports[run_id]) and own[0].at is not None}
        if began:
            now = time.monotonic()
            # Nobody claims the first step of a run that has begun.
            cursor.execute(
                """
                UPDATE workflows_workflowrun r SET started_at = statement_timestamp() - make_interval(secs => v.age)
                FROM unnest(%s::uuid[], %s::float8[]) AS v (id, age) WHERE r.id = v.id
                """,
                [to_array(began), to_array(now - at for at in began.values())],
            )
    if not inside:
        return [], set()
    happened = [one for run_id in inside for one in (Report(run_id, RunStarted()), *reports[run_id])]
    applied = apply(happened, graph_of=graph_of, reporter=reporter, pass_over_unreadable=True)
    return list(applied.hints), {report.run_id for report in applied.unreadable}


def chunks_of_worker(worker_id: int) -> list[int]:
    """The chunks that this worker has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM workflows_chunk WHERE worker_id = %s", [worker_id])
        return [row[0] for row in cursor.fetchall()]


def return_chunks(chunk_ids: Sequence[int], *, worker_id: int) -> list[tuple[str, str]]:
    """These chunks, of which this worker has begun nothing, are free again. Returns the hints to publish."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE workflows_chunk SET worker_id = NULL, hinted_at = NULL
            WHERE id = ANY(%s) AND worker_id = %s RETURNING lane, id
            """,
            [list(chunk_ids), worker_id],
        )
        return [(lane, token(chunk_id)) for lane, chunk_id in cursor.fetchall()]


def release_orphans(*, limit: int, graph_of: Callable[[int], Graph]) -> tuple[int, list[tuple[str, str]]]:
    """Let the runs of chunks leave whose worker is not alive, and end these chunks, at most `limit`. Chunks that this
    release cannot read become free for one that can. Opens a transaction. Returns (how many chunks, the hints to
    publish)."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, runs FROM workflows_chunk
            WHERE worker_id IS NOT NULL
              AND worker_id NOT IN (SELECT id FROM workflows_worker WHERE stopped_at IS NULL)
            ORDER BY hinted_at NULLS FIRST, id LIMIT %s FOR UPDATE SKIP LOCKED
            """,
            [limit],
        )
        hints: list[tuple[str, str]] = []
        ended = 0
        for chunk_id, runs in cursor.fetchall():
            try:
                with transaction.atomic():
                    own, unreadable = let_go([str(run_id) for run_id in runs], graph_of=graph_of)
                    _end(chunk_id, free=bool(unreadable))
            except Exception as error:
                if isinstance(error, ERRORS) and is_passing(error):
                    raise
                # One that cannot be let go must not keep the others, and comes last in the next round.
                log.exception("chunk_not_released", chunk=chunk_id)
                cursor.execute("UPDATE workflows_chunk SET hinted_at = now() WHERE id = %s", [chunk_id])
                continue
            hints += own
            ended += 1
        return ended, hints


# --- finding ---


def stale(portions: Sequence[tuple[str, int]], *, older_than: float) -> str | None:
    """The token of a chunk that has been ready for `older_than` seconds: the oldest of the first lane that has one.
    One only, since it is the work of several messages."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.id FROM unnest(%s::text[]) WITH ORDINALITY AS l (lane, place)
            CROSS JOIN LATERAL (
                SELECT id FROM workflows_chunk
                WHERE worker_id IS NULL AND lane = l.lane AND ready_at < now() - make_interval(secs => %s)
                ORDER BY ready_at LIMIT 1
            ) c ORDER BY l.place LIMIT 1
            """,
            [list(dict.fromkeys(lane for lane, _ in portions)), older_than],
        )
        row = cursor.fetchone()
        return None if row is None else token(row[0])


def rehint_stale(*, older_than: float, again_after: float, limit: int) -> list[tuple[str, str]]:
    """(lane, token) of ready chunks whose message seems lost; not named again for `again_after` seconds."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE workflows_chunk c SET hinted_at = now()
            FROM (
                SELECT id FROM workflows_chunk
                WHERE worker_id IS NULL AND ready_at < now() - make_interval(secs => %(older_than)s)
                  AND (hinted_at IS NULL OR hinted_at < now() - make_interval(secs => %(again_after)s))
                ORDER BY ready_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
            ) lost
            WHERE c.id = lost.id RETURNING c.lane, c.id
            """,
            {"older_than": older_than, "again_after": again_after, "limit": limit},
        )
        return [(lane, token(chunk_id)) for lane, chunk_id in cursor.fetchall()]


def ready_since(run_id: str) -> tuple[str, datetime] | None:
    """(lane, since when) of the chunk in which this run waits; None if it is in none that is free."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT lane, ready_at FROM workflows_chunk WHERE runs @> ARRAY[%s::uuid] AND worker_id IS NULL", [run_id]
        )
        row = cursor.fetchone()
        return (row[0], row[1]) if row else None
