"""All SQL that changes runs, steps and workers: every lock and every change of state is here.

Note [Lock order]
A transaction that touches a run first locks the run's row, several runs in the order of their ids, and only then its
steps. The row lock makes decisions about one run take turns (a join fires once), and the order rules out deadlocks.
`FOR NO KEY UPDATE`, because a plain `FOR UPDATE` would also block the foreign-key checks of new steps.

Note [What a worker knows]
A worker that goes on with a run knows its steps: it claimed them and applied what came of them. `seq` of the run's row
is raised by every change of the run or its steps, so what a worker knows is right exactly as long as `seq` is. `apply`
then decides without reading anything, and writes under the condition that `seq` is unchanged: one round trip, and no
lock held while deciding. A run for which the condition fails is taken again the slow way: lock, load, decide, write.

The functions here run in the caller's transaction; each says whether it needs one. A statement that needs none is a
transaction of its own in autocommit; several of them in one string are one round trip and one transaction.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import connection, transaction

from workflows.core import machine
from workflows.core.graph import Graph
from workflows.core.machine import NO_ITEM, Happening, Plan, RunView, Snapshot, StepKey, StepView
from workflows.core.states import STEP_ENDS, Lane, RunState, StepState

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
class Known:
    """All there is to know of a run, as of `seq`."""

    snapshot: Snapshot
    seq: int
    version_id: int
    deadline_at: datetime | None


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
    """Insert runs with their first steps, in one round trip. Returns the hints to publish after commit.

    Needs no transaction: runs and steps are one string, and so one transaction.
    """
    writes = _Writes()
    hints: list[tuple[str, str]] = []
    for run in runs:
        lanes = writes.add_steps(run.view, None, run.graph, run.plan, {})
        hints.extend((lane, run.id) for lane in sorted(lanes))
    sql, parameters = [_NEW_RUNS], _new_run_columns(runs)
    if writes.step_inserts:
        sql.append(_NEW_STEPS)
        parameters += [to_array(column) for column in zip(*writes.step_inserts, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(";\n".join(sql), parameters)
    return hints


_NEW_RUNS = """
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
"""


def _new_run_columns(runs: Sequence[NewRun]) -> list[str]:
    ends = [run.plan.run if run.plan.run and run.plan.run.state.ended else None for run in runs]
    columns: list[list[Any]] = [
        [run.id for run in runs],
        [run.version_id for run in runs],
        [run.view.workflow for run in runs],
        [run.view.business_key for run in runs],
        [run.view.lane for run in runs],
        [end.state if end else RunState.PENDING for end in ends],
        [to_json(run.view.input) for run in runs],
        [to_json(end.output) if end else None for end in ends],
        [to_json(end.error) if end else None for end in ends],
        [run.started_by for run in runs],
        [run.notify for run in runs],
        [run.view.created_at for run in runs],
        [end is not None for end in ends],
        [run.timeout for run in runs],
    ]
    return [to_array(column) for column in columns]


# --- claiming ---------------------------------------------------------------------------------------------

_CLAIM = """
WITH run AS MATERIALIZED (
    SELECT id, version_id, workflow, business_key, lane, state, input, deadline_at, created_at, seq
    FROM workflows_workflowrun WHERE id = ANY(%(runs)s::uuid[]) ORDER BY id FOR NO KEY UPDATE {skip}
), claimed AS (
    UPDATE workflows_steprun s
    SET state = 'RUNNING', attempt = s.attempt + 1, worker_id = %(worker)s, started_at = clock_timestamp(),
        finished_at = NULL, due_at = NULL, hinted_at = NULL
    FROM run WHERE s.run_id = run.id AND s.state = 'READY' AND s.lane = ANY(%(lanes)s)
    RETURNING s.run_id, s.step, s.item, s.attempt, s.input, s.lane
), begun AS (
    UPDATE workflows_workflowrun r
    SET seq = r.seq + 1, state = CASE r.state WHEN 'PENDING' THEN 'RUNNING' ELSE r.state END,
        started_at = coalesce(r.started_at, clock_timestamp())
    WHERE r.id IN (SELECT run_id FROM claimed)
)
SELECT c.run_id::text, c.step, c.item, c.attempt, c.input::text, run.version_id, run.workflow, run.business_key, c.lane,
       run.deadline_at, run.created_at, run.lane, run.state, run.seq + 1,
       CASE run.state WHEN 'PENDING' THEN run.input::text END,
       CASE run.state WHEN 'PENDING' THEN (SELECT count(*) FROM workflows_steprun s WHERE s.run_id = run.id) END
FROM claimed c JOIN run ON run.id = c.run_id ORDER BY c.run_id, c.step, c.item
"""


def claim(
    run_ids: Iterable[str],
    *,
    worker_id: int,
    lanes: Sequence[str],
    skip_locked: bool = False,
    known: MutableMapping[str, Known] | None = None,
) -> list[Claim]:
    """Claim what is ready in these runs and lanes, in one statement. Needs no transaction.

    skip_locked: pass over runs that someone else is busy with, for callers that can come back.
    known: learns the runs of which these claims are all there is.
    """
    sql = _CLAIM.format(skip="SKIP LOCKED" if skip_locked else "")
    with connection.cursor() as cursor:
        cursor.execute(sql, {"runs": sorted(set(run_ids)), "worker": worker_id, "lanes": list(lanes)})
        rows = cursor.fetchall()
    claims = [
        Claim(run_id, step, item, attempt, from_json(input_), *rest[:6])
        for run_id, step, item, attempt, input_, *rest in rows
    ]
    if known is not None:
        _learn(known, claims, rows)
    return claims


def _learn(known: MutableMapping[str, Known], claims: Sequence[Claim], rows: Sequence[tuple[Any, ...]]) -> None:
    """Only a run that nobody had touched before is known by its claims: if they are all of its steps."""
    claimed: dict[str, dict[StepKey, StepView]] = defaultdict(dict)
    for one in claims:
        claimed[one.run_id][one.step, one.item] = StepView(StepState.RUNNING, one.attempt)
        # Whatever was known of it, this claim has changed it.
        known.pop(one.run_id, None)
    for one, (*_, lane, state, seq, input_, steps) in zip(claims, rows, strict=True):
        if state == RunState.PENDING and steps == len(claimed[one.run_id]):
            view = RunView(
                one.run_id,
                one.workflow,
                one.business_key,
                lane,
                RunState.RUNNING,
                from_json(input_),
                one.run_created_at,
            )
            snapshot = Snapshot(view, claimed[one.run_id])
            known[one.run_id] = Known(snapshot, seq, one.version_id, one.deadline_at)


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


def apply(
    reports: Sequence[Report],
    *,
    graph_of: Callable[[int], Graph],
    claimant: int | None = None,
    known: MutableMapping[str, Known] | None = None,
) -> Applied:
    """Decide and write what follows from `reports`, of any number of runs, as one set.

    claimant: the worker that reports and can go on: each of its reports lets it claim one step that became ready.
    known: what the worker knows of runs; used and kept up to date. Opens a transaction where it needs one.
    """
    by_run: dict[str, list[Report]] = defaultdict(list)
    for report in reports:
        by_run[report.run_id].append(report)
    group = _Group(by_run, graph_of, claimant, known if known is not None else {})
    # Successes only: what else happens needs the database's clock.
    sure = sorted(
        run_id
        for run_id, own in by_run.items()
        if run_id in group.known and all(isinstance(report.happening, machine.StepSucceeded) for report in own)
    )
    if sure:
        group.apply({run_id: group.known[run_id] for run_id in sure}, datetime.now(UTC))
    unsure = sorted(by_run.keys() - group.done)
    if unsure:
        with transaction.atomic():
            runs, now = _lock_and_load(unsure)
            if runs:
                group.apply(runs, now)
        group.discarded.extend(report for run_id in unsure if run_id not in runs for report in by_run[run_id])
    return Applied(tuple(group.claims), tuple(group.hints), tuple(group.discarded))


class _Group:
    """Reports on their way into the database, some runs at a time."""

    def __init__(
        self,
        by_run: Mapping[str, Sequence[Report]],
        graph_of: Callable[[int], Graph],
        claimant: int | None,
        known: MutableMapping[str, Known],
    ) -> None:
        self.by_run = by_run
        self.graph_of = graph_of
        self.claimant = claimant
        self.known = known
        self.done: set[str] = set()
        self.claims: list[Claim] = []
        self.hints: list[tuple[str, str]] = []
        self.discarded: list[Report] = []

    def apply(self, runs: Mapping[str, Known], now: datetime) -> None:
        """Decide on what is known of these runs, and write where it still holds; the others are forgotten."""
        writes = _Writes()
        discarded: list[Report] = []
        for run_id, run in runs.items():
            reports = self.by_run[run_id]
            happenings = [report.happening for report in reports]
            graph = self.graph_of(run.version_id)
            plan = machine.decide(graph, run.snapshot, happenings, now)
            if plan.discarded:
                discarded.extend(report for report in reports if report.happening in plan.discarded)
            writes.add_plan(run_id, run, graph, plan, claimant=self.claimant, claimable=len(happenings))
        with connection.cursor() as cursor:
            written = writes.write(cursor)
        self.done |= written
        for run_id in runs:
            after = writes.after.get(run_id) if run_id in written else None
            if after is None:
                self.known.pop(run_id, None)
            else:
                self.known[run_id] = after
        self.claims += (claim for claim in writes.claims if claim.run_id in written)
        self.hints += (hint for hint in writes.hints if hint[1] in written)
        self.discarded += (report for report in discarded if report.run_id in written)


def _lock_and_load(run_ids: Sequence[str]) -> tuple[dict[str, Known], datetime]:
    """The runs that exist, locked, and the database's clock. The steps are read after the locks were taken."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, workflow, business_key, lane, state, input::text, created_at, version_id, deadline_at, seq,
                   clock_timestamp()
            FROM workflows_workflowrun WHERE id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE
            """,
            [list(run_ids)],
        )
        rows = cursor.fetchall()
        steps: dict[str, dict[StepKey, StepView]] = {str(row[0]): {} for row in rows}
        cursor.execute(
            """
            SELECT run_id, step, item, state, attempt, failures, lost, output::text
            FROM workflows_steprun WHERE run_id = ANY(%s::uuid[])
            """,
            [list(steps)],
        )
        for run_id, step, item, state, attempt, failures, lost, output in cursor.fetchall():
            view = StepView(StepState(state), attempt, failures, lost, from_json(output))
            steps[str(run_id)][step, item] = view
    runs: dict[str, Known] = {}
    for id_, workflow, key, lane, state, input_, created_at, version_id, deadline_at, seq, _ in rows:
        run = RunView(str(id_), workflow, key, lane, RunState(state), from_json(input_), created_at)
        runs[run.id] = Known(Snapshot(run, steps[run.id]), seq, version_id, deadline_at)
    return runs, rows[0][-1] if rows else datetime.now(UTC)


class _Writes:
    """The rows that a group of plans comes to, written with one statement."""

    def __init__(self) -> None:
        self.runs: list[tuple[Any, ...]] = []
        self.step_inserts: list[tuple[Any, ...]] = []
        self.step_updates: list[tuple[Any, ...]] = []
        self.events: list[tuple[Any, ...]] = []
        self.claims: list[Claim] = []
        self.hints: list[tuple[str, str]] = []
        #: runs that go on, as they are once this is written
        self.after: dict[str, Known] = {}
        #: whether losing this group could lose more than a repetition
        self.durable = False

    def add_plan(
        self, run_id: str, run: Known, graph: Graph, plan: Plan, *, claimant: int | None, claimable: int
    ) -> None:
        view = run.snapshot.run
        steps = dict(run.snapshot.steps)
        hinted = self.add_steps(view, run, graph, plan, steps, claimant=claimant, claimable=claimable)
        self.hints.extend((lane, run_id) for lane in sorted(hinted))
        change = plan.run
        ended = change is not None and change.state.ended
        self.durable |= ended
        output, error = (to_json(change.output), to_json(change.error)) if change else (None, None)
        self.runs.append((run_id, run.seq, change.state if change else None, output, error, ended))
        for event in plan.events:
            self.durable = True
            self.events.append((run_id, event.type, event.step, event.item, event.attempt, to_json(event.detail)))
        if any(not step.state.ended for step in steps.values()):
            after = replace(view, state=change.state) if change else view
            self.after[run_id] = Known(Snapshot(after, steps), run.seq + 1, run.version_id, run.deadline_at)

    def add_steps(
        self,
        view: RunView,
        run: Known | None,
        graph: Graph,
        plan: Plan,
        steps: dict[StepKey, StepView],
        *,
        claimant: int | None = None,
        claimable: int = 0,
    ) -> set[str]:
        """The steps' rows; `steps` becomes what they are afterwards. Returns the lanes that wait for a worker."""
        hinted: set[str] = set()
        lane = Lane(view.lane)
        for change in plan.steps:
            node = graph.steps[change.step]
            step_lane = lane if node.essential else DEFERRED_LANE[lane]
            state, attempt, worker = change.state, change.attempt, None
            self.durable |= not node.idempotent or node.transactional or state is StepState.FAILED
            if state is StepState.READY:
                # Only new steps: their input is at hand, and one that is tried again may go to another worker.
                if change.new and claimant is not None and claimable and step_lane == lane and run is not None:
                    claimable -= 1
                    state, attempt, worker = StepState.RUNNING, attempt + 1, claimant
                    self.claims.append(
                        Claim(
                            view.id,
                            change.step,
                            change.item,
                            attempt,
                            change.input,
                            run.version_id,
                            view.workflow,
                            view.business_key,
                            step_lane,
                            run.deadline_at,
                            view.created_at,
                        )
                    )
                else:
                    hinted.add(step_lane)
            steps[change.step, change.item] = StepView(state, attempt, change.failures, change.lost, change.output)
            row = (
                view.id, change.step, change.item, state, attempt, change.failures, change.lost,
                to_json(change.output), to_json(change.error), change.due_at,
            )  # fmt: skip
            if change.new:
                self.step_inserts.append((*row, step_lane, worker, to_json(change.input)))
            else:
                self.step_updates.append(row)
        return hinted

    def write(self, cursor: Any) -> set[str]:
        """One statement, and so one round trip. Returns the runs for which `seq` held; of others nothing is written."""
        parts: list[str] = []
        parameters: list[Any] = []
        for statement, rows in (
            (_UPDATE_RUNS, self.runs),
            (_UPDATE_STEPS, self.step_updates),
            (_INSERT_STEPS, self.step_inserts),
            (_INSERT_EVENTS, self.events),
        ):
            if rows:
                parts.append(statement)
                parameters.extend(to_array(column) for column in zip(*rows, strict=True))
        # An intermediate checkpoint of idempotent steps: losing it repeats the steps, nothing else.
        mode = "" if self.durable else "SET LOCAL synchronous_commit = off;\n"
        cursor.execute(f"{mode}WITH {','.join(parts)}\n{_WRITTEN}", parameters)
        return {row[0] for row in cursor.fetchall()}


_STEP_COLUMNS = """%s::uuid[], %s::text[], %s::int[], %s::text[], %s::int[], %s::int[], %s::int[], %s::text[],
    %s::text[], %s::timestamptz[]"""
_STEP_NAMES = "run_id, step, item, state, attempt, failures, lost, output, error, due_at"
_ENDS = ", ".join(f"'{state}'" for state in sorted(STEP_ENDS))

# A step that did not start again keeps the worker and the start of its last attempt.
_UPDATE_STEPS = f""" updated AS (
UPDATE workflows_steprun s
SET state = v.state, attempt = v.attempt, failures = v.failures, lost = v.lost,
    output = v.output::jsonb, error = v.error::jsonb, due_at = v.due_at, hinted_at = NULL,
    ready_at = CASE WHEN v.state = 'READY' THEN clock_timestamp() ELSE s.ready_at END,
    finished_at = CASE WHEN v.state IN ({_ENDS}) THEN clock_timestamp() END
FROM unnest({_STEP_COLUMNS}) AS v ({_STEP_NAMES})
WHERE s.run_id = v.run_id AND s.step = v.step AND s.item = v.item AND v.run_id IN (SELECT id FROM won)
)"""  # noqa: S608  (made of constants)

_NEW_STEPS = f"""
INSERT INTO workflows_steprun ({_STEP_NAMES}, lane, worker_id, input, ready_at, started_at, finished_at)
SELECT run_id, step, item, state, attempt, failures, lost, output::jsonb, error::jsonb, due_at, lane, worker_id,
       input::jsonb,
       CASE WHEN state IN ('READY', 'RUNNING') THEN clock_timestamp() END,
       CASE WHEN state = 'RUNNING' THEN clock_timestamp() END,
       CASE WHEN state IN ({_ENDS}) THEN clock_timestamp() END
FROM unnest({_STEP_COLUMNS}, %s::text[], %s::bigint[], %s::text[]) AS v ({_STEP_NAMES}, lane, worker_id, input)
"""  # noqa: S608  (made of constants)

_INSERT_STEPS = f" inserted AS ({_NEW_STEPS} WHERE v.run_id IN (SELECT id FROM won))"  # noqa: S608

_UPDATE_RUNS = """ won AS (
UPDATE workflows_workflowrun r
SET seq = r.seq + 1, state = coalesce(v.state, r.state), output = coalesce(v.output::jsonb, r.output),
    error = coalesce(v.error::jsonb, r.error),
    finished_at = CASE WHEN v.has_ended THEN clock_timestamp() ELSE r.finished_at END
FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::bool[])
  AS v (id, seq, state, output, error, has_ended)
WHERE r.id = v.id AND r.seq = v.seq
RETURNING r.id, r.notify AND v.has_ended AS announced
)"""

_INSERT_EVENTS = """ told AS (
INSERT INTO workflows_runevent (run_id, at, type, step, item, attempt, detail)
SELECT run_id, clock_timestamp(), type, step, item, attempt, detail::jsonb
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::int[], %s::int[], %s::text[])
  AS v (run_id, type, step, item, attempt, detail)
WHERE v.run_id IN (SELECT id FROM won)
)"""

# Announced only where someone waits: NOTIFY makes commits take turns.
_WRITTEN = f"SELECT id::text, CASE WHEN announced THEN pg_notify('{RUN_ENDED_CHANNEL}', id::text) END FROM won"  # noqa: S608


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


# --- what PostgreSQL reads --------------------------------------------------------------------------------


def to_json(value: Any) -> str | None:
    """A value as JSON text; None is SQL's NULL."""
    return None if value is None else orjson.dumps(value).decode()


def from_json(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def to_array(values: Iterable[Any]) -> str:
    """A column as PostgreSQL's array literal: one string to escape in place of one for each value (2 times faster)."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)


__all__ = ["NO_ITEM", "Applied", "Claim", "NewRun", "Report"]
