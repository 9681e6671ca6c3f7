"""All SQL that changes runs, steps and workers: every lock and every change of state is here.

Note [Lock order]
A transaction that touches a run first locks the run's row, several runs in the order of their ids, and only then its
steps. The row lock makes decisions about one run take turns (a join fires once), and the order rules out deadlocks.
`FOR NO KEY UPDATE`, because a plain `FOR UPDATE` would also block the foreign-key checks of new steps.

The functions here run in the caller's transaction; each says whether it needs one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection

from workflows.core import machine
from workflows.core.graph import Graph
from workflows.core.machine import NO_ITEM, Happening, Plan, RunView, Snapshot, StepKey, StepView
from workflows.core.states import Lane, RunState, StepState

#: Where steps that are not essential queue, by the lane of their run: off the critical path in time and in place.
DEFERRED_LANE = {
    Lane.CRITICAL: Lane.STANDARD,
    Lane.HIGH: Lane.STANDARD,
    Lane.STANDARD: Lane.STANDARD,
    Lane.BULK: Lane.BULK,
}

RUN_ENDED_CHANNEL = "erip_run_ended"


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be inserted, with what its start decided."""

    id: str
    version_id: int
    view: RunView
    timeout: float | None
    started_by: str
    notify: bool
    plan: Plan
    graph: Graph


@dataclass(frozen=True, slots=True)
class Claim:
    """A step that this worker owns until it reports on `attempt`."""

    run_id: str
    step: str
    item: int
    attempt: int
    input: Any
    version_id: int
    workflow: str
    business_key: str | None
    lane: str
    deadline_at: datetime | None
    run_created_at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """Something that happened to a run."""

    run_id: str
    happening: Happening


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of a group of reports."""

    #: steps that the claimant goes on with
    claims: tuple[Claim, ...] = ()
    #: (lane, run id) that some worker should look at, once the transaction is committed
    hints: tuple[tuple[str, str], ...] = ()
    #: reports that no longer counted
    discarded: tuple[Report, ...] = ()


# --- starting ---------------------------------------------------------------------------------------------


def take_idempotency_key(principal: str, key: str, request_hash: str, run_id: str) -> tuple[str, str] | None:
    """Reserve the key for `run_id`. None if it is ours now, else (run id, request hash) of whoever has it.

    In a transaction. While another transaction holds the key, this waits for its end.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO workflows_idempotencykey (principal, key, request_hash, run_id)
            VALUES (%s, %s, %s, %s) ON CONFLICT (principal, key) DO NOTHING RETURNING 1
            """,
            [principal, key, request_hash, run_id],
        )
        if cursor.fetchone():
            return None
        cursor.execute(
            "SELECT run_id, request_hash FROM workflows_idempotencykey WHERE principal = %s AND key = %s",
            [principal, key],
        )
        known, known_hash = cursor.fetchone()
        return str(known), known_hash


def insert_runs(runs: Sequence[NewRun]) -> list[tuple[str, str]]:
    """Insert runs with their first steps. Returns the hints to publish after commit. In a transaction."""
    writes = _Writes()
    for run in runs:
        lane = Lane(run.view.lane)
        writes.add_plan(run.id, lane, run.graph, run.plan, claimable=0, claimant=None)
        # The rows are new, so that the start's own change of the run is part of the insert.
        writes.run_updates.clear()
    with connection.cursor() as cursor:
        ends = [run.plan.run if run.plan.run and run.plan.run.state.ended else None for run in runs]
        cursor.execute(
            """
            INSERT INTO workflows_workflowrun (
                id, version_id, workflow, business_key, lane, state, input, output, error,
                started_by, notify, created_at, finished_at, deadline_at)
            SELECT id, version_id, workflow, business_key, lane, state, input::jsonb, output::jsonb, error::jsonb,
                   started_by, notify, created_at,
                   CASE WHEN ended THEN clock_timestamp() END, created_at + make_interval(secs => timeout)
            FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
                        %s::text[], %s::text[], %s::text[], %s::bool[], %s::timestamptz[], %s::bool[], %s::float8[])
              AS new (id, version_id, workflow, business_key, lane, state, input, output, error,
                      started_by, notify, created_at, ended, timeout)
            """,
            [
                [run.id for run in runs],
                [run.version_id for run in runs],
                [run.view.workflow for run in runs],
                [run.view.business_key for run in runs],
                [str(run.view.lane) for run in runs],
                [str(end.state if end else RunState.PENDING) for end in ends],
                [to_json(run.view.input) for run in runs],
                [to_json(end.output) if end else None for end in ends],
                [to_json(end.error) if end else None for end in ends],
                [run.started_by for run in runs],
                [run.notify for run in runs],
                [run.view.created_at for run in runs],
                [end is not None for end in ends],
                [run.timeout for run in runs],
            ],
        )
        writes.write(cursor)
    return writes.hints


# --- claiming ---------------------------------------------------------------------------------------------

_CLAIM = """
WITH run AS MATERIALIZED (
    SELECT id, version_id, workflow, business_key, state, deadline_at, created_at
    FROM workflows_workflowrun WHERE id = ANY(%(runs)s::uuid[]) ORDER BY id FOR NO KEY UPDATE {skip}
), claimed AS (
    UPDATE workflows_steprun s
    SET state = 'RUNNING', attempt = s.attempt + 1, worker_id = %(worker)s, started_at = clock_timestamp(),
        finished_at = NULL, due_at = NULL, hinted_at = NULL
    FROM run WHERE s.run_id = run.id AND s.state = 'READY' AND s.lane = ANY(%(lanes)s)
    RETURNING s.run_id, s.step, s.item, s.attempt, s.input, s.lane
), begun AS (
    UPDATE workflows_workflowrun r SET state = 'RUNNING', started_at = coalesce(r.started_at, clock_timestamp())
    FROM run WHERE r.id = run.id AND run.state = 'PENDING' AND r.id IN (SELECT run_id FROM claimed)
)
SELECT c.run_id, c.step, c.item, c.attempt, c.input::text, run.version_id, run.workflow, run.business_key, c.lane,
       run.deadline_at, run.created_at
FROM claimed c JOIN run ON run.id = c.run_id ORDER BY c.run_id, c.step, c.item
"""


def claim(run_ids: Iterable[str], *, worker_id: int, lanes: Sequence[str], skip_locked: bool = False) -> list[Claim]:
    """Claim what is ready in these runs and lanes, in one statement.

    skip_locked: pass over runs that someone else is busy with, for callers that can come back.
    """
    sql = _CLAIM.format(skip="SKIP LOCKED" if skip_locked else "")
    with connection.cursor() as cursor:
        cursor.execute(sql, {"runs": sorted(set(run_ids)), "worker": worker_id, "lanes": list(lanes)})
        return [
            Claim(str(run_id), step, item, attempt, from_json(text), *rest)
            for run_id, step, item, attempt, text, *rest in cursor.fetchall()
        ]


def stale_ready_runs(lanes: Sequence[str], *, older_than: float, limit: int) -> list[str]:
    """Runs with steps that have been ready for `older_than` seconds, most urgent lane first, oldest first."""
    with connection.cursor() as cursor:
        found: dict[str, None] = {}
        for lane in lanes:
            cursor.execute(
                """
                SELECT run_id FROM workflows_steprun
                WHERE state = 'READY' AND lane = %s AND ready_at < now() - make_interval(secs => %s)
                ORDER BY ready_at LIMIT %s
                """,
                [lane, older_than, limit - len(found)],
            )
            found.update((str(row[0]), None) for row in cursor.fetchall())
            if len(found) >= limit:
                break
        return list(found)


def rehint_stale_ready(*, older_than: float, again_after: float, limit: int) -> list[tuple[str, str]]:
    """(lane, run id) of ready steps whose message seems lost; not named again for `again_after` seconds."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE workflows_steprun s SET hinted_at = now()
            FROM (
                SELECT run_id, step, item FROM workflows_steprun
                WHERE state = 'READY' AND ready_at < now() - make_interval(secs => %s)
                  AND (hinted_at IS NULL OR hinted_at < now() - make_interval(secs => %s))
                ORDER BY ready_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
            ) stale
            WHERE s.run_id = stale.run_id AND s.step = stale.step AND s.item = stale.item
            RETURNING s.lane, s.run_id
            """,
            [older_than, again_after, limit],
        )
        return [(lane, str(run_id)) for lane, run_id in cursor.fetchall()]


# --- applying what happened -------------------------------------------------------------------------------


def apply(reports: Sequence[Report], *, graph_of: Callable[[int], Graph], claimant: int | None = None) -> Applied:
    """Decide and write what follows from `reports`, of any number of runs, as one set. In a transaction.

    claimant: the worker that reports and can go on: each of its reports lets it claim one step that became ready.
    """
    by_run: dict[str, list[Report]] = defaultdict(list)
    for report in reports:
        by_run[report.run_id].append(report)
    writes = _Writes()
    discarded: list[Report] = []
    with connection.cursor() as cursor:
        runs, now = _lock_runs(cursor, sorted(by_run))
        steps = _load_steps(cursor, list(runs))
        for run_id, (view, version_id, started_row) in runs.items():
            graph = graph_of(version_id)
            happenings = [report.happening for report in by_run[run_id]]
            plan = machine.decide(graph, Snapshot(view, steps[run_id]), happenings, now)
            discarded.extend(report for report in by_run[run_id] if report.happening in plan.discarded)
            writes.add_plan(
                run_id,
                Lane(view.lane),
                graph,
                plan,
                claimable=len(happenings) if claimant is not None else 0,
                claimant=claimant,
                before=steps[run_id],
                claim_with=(version_id, view, started_row),
            )
        discarded.extend(report for run_id in by_run if run_id not in runs for report in by_run[run_id])
        writes.write(cursor)
    return Applied(tuple(writes.claims), tuple(writes.hints), tuple(discarded))


def _lock_runs(cursor: Any, run_ids: Sequence[str]) -> tuple[dict[str, tuple[RunView, int, datetime | None]], datetime]:
    cursor.execute(
        """
        SELECT id, workflow, business_key, lane, state, input::text, created_at, version_id, deadline_at,
               clock_timestamp()
        FROM workflows_workflowrun WHERE id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE
        """,
        [list(run_ids)],
    )
    rows = cursor.fetchall()
    runs: dict[str, tuple[RunView, int, datetime | None]] = {}
    for id_, workflow, key, lane, state, input_, created_at, version_id, deadline_at, _ in rows:
        view = RunView(str(id_), workflow, key, lane, RunState(state), from_json(input_), created_at)
        runs[str(id_)] = (view, version_id, deadline_at)
    return runs, rows[0][-1] if rows else datetime.now(UTC)


def _load_steps(cursor: Any, run_ids: Sequence[str]) -> Mapping[str, dict[StepKey, StepView]]:
    """The steps' states, read after the locks were taken."""
    cursor.execute(
        """
        SELECT run_id, step, item, state, attempt, failures, lost, output::text
        FROM workflows_steprun WHERE run_id = ANY(%s::uuid[])
        """,
        [list(run_ids)],
    )
    steps: dict[str, dict[StepKey, StepView]] = {run_id: {} for run_id in run_ids}
    for run_id, step, item, state, attempt, failures, lost, output in cursor.fetchall():
        steps[str(run_id)][step, item] = StepView(StepState(state), attempt, failures, lost, from_json(output))
    return steps


class _Writes:
    """The rows that a group of plans comes to, written with one statement a table."""

    def __init__(self) -> None:
        self.step_inserts: list[tuple[Any, ...]] = []
        self.step_updates: list[tuple[Any, ...]] = []
        self.run_updates: list[tuple[Any, ...]] = []
        self.events: list[tuple[Any, ...]] = []
        self.claims: list[Claim] = []
        self.hints: list[tuple[str, str]] = []
        #: whether losing this group could lose more than a repetition
        self.durable = False

    def add_plan(
        self,
        run_id: str,
        lane: Lane,
        graph: Graph,
        plan: Plan,
        *,
        claimable: int,
        claimant: int | None,
        before: Mapping[StepKey, StepView] | None = None,
        claim_with: tuple[int, RunView, datetime | None] | None = None,
    ) -> None:
        hinted: set[str] = set()
        for change in plan.steps:
            node = graph.steps[change.step]
            step_lane = lane if node.essential else DEFERRED_LANE[lane]
            state, attempt, worker = change.state, change.attempt, None
            self.durable |= not node.idempotent or node.transactional or state is StepState.FAILED
            if state is StepState.READY:
                # Only new steps: their input is at hand, and one that is tried again may go to another worker.
                if change.new and claimable and step_lane == lane and claim_with is not None:
                    claimable -= 1
                    state, attempt, worker = StepState.RUNNING, attempt + 1, claimant
                    version_id, view, deadline_at = claim_with
                    self.claims.append(
                        Claim(
                            run_id,
                            change.step,
                            change.item,
                            attempt,
                            change.input,
                            version_id,
                            view.workflow,
                            view.business_key,
                            step_lane,
                            deadline_at,
                            view.created_at,
                        )
                    )
                else:
                    hinted.add(step_lane)
            row = (
                run_id, change.step, change.item, str(state), str(step_lane), attempt, change.failures, change.lost,
                worker, to_json(change.output), to_json(change.error), change.due_at, state is StepState.READY,
                state is StepState.RUNNING, state.ended,
            )  # fmt: skip
            if change.new:
                self.step_inserts.append((*row, to_json(change.input)))
            else:
                self.step_updates.append(row)
        self.hints.extend((step_lane, run_id) for step_lane in sorted(hinted))
        if plan.run:
            ended = plan.run.state.ended
            self.durable |= ended
            self.run_updates.append(
                (run_id, str(plan.run.state), to_json(plan.run.output), to_json(plan.run.error), ended)
            )
        for event in plan.events:
            self.durable = True
            self.events.append((run_id, event.type, event.step, event.item, event.attempt, to_json(event.detail)))

    def write(self, cursor: Any) -> None:
        sql: list[str] = []
        parameters: list[Any] = []
        for statement, rows in (
            (_UPDATE_STEPS, self.step_updates),
            (_INSERT_STEPS, self.step_inserts),
            (_UPDATE_RUNS, self.run_updates),
            (_INSERT_EVENTS, self.events),
        ):
            if rows:
                sql.append(statement)
                parameters.extend(list(column) for column in zip(*rows, strict=True))
        if any(ended for *_, ended in self.run_updates):
            sql.append(_ANNOUNCE_ENDS)
            parameters.append([row[0] for row in self.run_updates if row[-1]])
        if not self.durable and self.step_updates:
            # An intermediate checkpoint of idempotent steps: losing it repeats the steps, nothing else.
            sql.append("SET LOCAL synchronous_commit = off")
        if sql:
            # One round trip for all of them.
            cursor.execute(";\n".join(sql), parameters)


_STEP_COLUMNS = """%s::uuid[], %s::text[], %s::int[], %s::text[], %s::text[], %s::int[], %s::int[], %s::int[],
    %s::bigint[], %s::text[], %s::text[], %s::timestamptz[], %s::bool[], %s::bool[], %s::bool[]"""

# A step that did not start again keeps the worker and the start of its last attempt.
_UPDATE_STEPS = f"""
UPDATE workflows_steprun s
SET state = v.state, attempt = v.attempt, failures = v.failures, lost = v.lost,
    output = v.output::jsonb, error = v.error::jsonb, due_at = v.due_at, hinted_at = NULL,
    ready_at = CASE WHEN v.is_ready THEN clock_timestamp() ELSE s.ready_at END,
    finished_at = CASE WHEN v.has_ended THEN clock_timestamp() END
FROM unnest({_STEP_COLUMNS})
  AS v (run_id, step, item, state, lane, attempt, failures, lost, worker_id, output, error, due_at, is_ready,
        is_running, has_ended)
WHERE s.run_id = v.run_id AND s.step = v.step AND s.item = v.item
"""  # noqa: S608  (made of constants)

_INSERT_STEPS = f"""
INSERT INTO workflows_steprun (
    run_id, step, item, state, lane, attempt, failures, lost, worker_id, output, error, due_at,
    ready_at, started_at, finished_at, input)
SELECT run_id, step, item, state, lane, attempt, failures, lost, worker_id, output::jsonb, error::jsonb, due_at,
       CASE WHEN is_ready OR is_running THEN clock_timestamp() END, CASE WHEN is_running THEN clock_timestamp() END,
       CASE WHEN has_ended THEN clock_timestamp() END, input::jsonb
FROM unnest({_STEP_COLUMNS}, %s::text[])
  AS v (run_id, step, item, state, lane, attempt, failures, lost, worker_id, output, error, due_at, is_ready,
        is_running, has_ended, input)
"""  # noqa: S608  (made of constants)

_UPDATE_RUNS = """
UPDATE workflows_workflowrun r
SET state = v.state, output = v.output::jsonb, error = v.error::jsonb,
    finished_at = CASE WHEN v.has_ended THEN clock_timestamp() END
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::bool[]) AS v (id, state, output, error, has_ended)
WHERE r.id = v.id
"""

_INSERT_EVENTS = """
INSERT INTO workflows_runevent (run_id, at, type, step, item, attempt, detail)
SELECT run_id, clock_timestamp(), type, step, item, attempt, detail::jsonb
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::int[], %s::int[], %s::text[])
  AS v (run_id, type, step, item, attempt, detail)
"""

# Only where someone waits: NOTIFY makes commits take turns.
_ANNOUNCE_ENDS = f"""
SELECT pg_notify('{RUN_ENDED_CHANNEL}', id::text) FROM workflows_workflowrun WHERE id = ANY(%s::uuid[]) AND notify
"""  # noqa: S608  (made of constants)


# --- workers and the leader's searches --------------------------------------------------------------------


def register_worker(name: str, host: str, pid: int, lanes: Sequence[str]) -> int:
    """A new life of a worker. Returns its id."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO workflows_worker (name, host, pid, lanes) VALUES (%s, %s, %s, %s) RETURNING id",
            [name, host, pid, ",".join(lanes)],
        )
        worker_id: int = cursor.fetchone()[0]
        return worker_id


def heartbeat(worker_id: int) -> None:
    """The worker lives, also if it was taken for dead; but what others claimed meanwhile is not its own any more."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflows_worker SET heartbeat_at = clock_timestamp(), stopped_at = NULL WHERE id = %s",
            [worker_id],
        )


def stop_worker(worker_id: int) -> None:
    """The worker ends and claims nothing any more."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_worker SET stopped_at = clock_timestamp() WHERE id = %s", [worker_id])


def bury_silent_workers(*, lease: float) -> list[str]:
    """Mark workers without a heartbeat for `lease` seconds as stopped. Returns their names."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE workflows_worker SET stopped_at = clock_timestamp()
            WHERE stopped_at IS NULL AND heartbeat_at < now() - make_interval(secs => %s) RETURNING name
            """,
            [lease],
        )
        return [row[0] for row in cursor.fetchall()]


def orphaned_steps(*, limit: int) -> list[tuple[str, str, int, int]]:
    """(run id, step, item, attempt) of running steps whose worker is not alive, whyever it is not."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT run_id, step, item, attempt FROM workflows_steprun
            WHERE state = 'RUNNING' AND worker_id NOT IN (SELECT id FROM workflows_worker WHERE stopped_at IS NULL)
            LIMIT %s
            """,
            [limit],
        )
        return [(str(run_id), *rest) for run_id, *rest in cursor.fetchall()]


def steps_of_worker(worker_id: int) -> list[tuple[str, str, int, int]]:
    """(run id, step, item, attempt) of what runs under this worker's name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT run_id, step, item, attempt FROM workflows_steprun WHERE state = 'RUNNING' AND worker_id = %s",
            [worker_id],
        )
        return [(str(run_id), *rest) for run_id, *rest in cursor.fetchall()]


def due_steps(*, limit: int) -> list[tuple[str, str, int]]:
    """(run id, step, item) of waiting steps whose rest is over."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT run_id, step, item FROM workflows_steprun
            WHERE state = 'WAITING' AND due_at <= now() ORDER BY due_at LIMIT %s
            """,
            [limit],
        )
        return [(str(run_id), step, item) for run_id, step, item in cursor.fetchall()]


def overdue_runs(*, limit: int) -> list[str]:
    """Runs past their deadline that have not ended."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id FROM workflows_workflowrun
            WHERE deadline_at <= now() AND finished_at IS NULL ORDER BY deadline_at LIMIT %s
            """,
            [limit],
        )
        return [str(row[0]) for row in cursor.fetchall()]


def forget_idempotency_keys(*, older_than_days: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM workflows_idempotencykey WHERE created_at < now() - make_interval(days => %s)",
            [older_than_days],
        )
        count: int = cursor.rowcount
        return count


# --- JSON -------------------------------------------------------------------------------------------------


def to_json(value: Any) -> str | None:
    """A value as JSON text; None is SQL's NULL."""
    return None if value is None else orjson.dumps(value).decode()


def from_json(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


__all__ = ["NO_ITEM", "Applied", "Claim", "NewRun", "Report"]
