"""The rows that plans produce, and the one statement that writes them."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast

from erip.foundation.db import prepared
from erip.foundation.hooks import RunFailure
from workflows.core.graph import Graph
from workflows.core.machine import (
    NO_ITEM,
    Plan,
    RunView,
    Snapshot,
    StepFailed,
    StepKey,
    StepSucceeded,
    StepTaken,
    StepView,
    repeatable,
)
from workflows.core.states import STEP_ENDS, Lane, StepState
from workflows.store import lacking, outbox, unattempted
from workflows.store.approvals import CLOSE, OPEN
from workflows.store.fan_outs import PORTION, RELEASE, RELEASED, portions
from workflows.store.losable import losable
from workflows.store.timings import Ended
from workflows.store.values import RUN_ENDED_CHANNEL, Claim, Known, NewRun, Report, from_json, to_array, to_json

#: seconds since a step began and since it ended, if the report says so
Ages = tuple[float | None, float | None]

#: Where steps that are not essential queue, by the lane of their run: away from the critical path in time and place.
DEFERRED_LANE = {
    Lane.CRITICAL: Lane.STANDARD,
    Lane.HIGH: Lane.STANDARD,
    Lane.STANDARD: Lane.STANDARD,
    Lane.BULK: Lane.BULK,
}


class Writes:
    """The rows that a group of plans produces, written with one statement."""

    def __init__(self, reporter: int | None = None) -> None:
        """reporter: the worker that ran the steps of these plans, and claims the next ones."""
        self._reporter = reporter
        self.runs: list[tuple[Any, ...]] = []
        self.step_inserts: list[tuple[Any, ...]] = []
        self.step_updates: list[tuple[Any, ...]] = []
        self.events: list[tuple[Any, ...]] = []
        #: approval tasks that begin, and that end
        self.opened: list[tuple[Any, ...]] = []
        self.closed: list[tuple[str, str, str]] = []
        #: pending items of fan-outs that become ready, or that the reporter claims
        self.releases: list[tuple[Any, ...]] = []
        #: (run id, step, whether a running item can be repeated) of fan-outs that end with their runs
        self.cancels: list[tuple[str, str, bool]] = []
        self.claims: list[Claim] = []
        self.hints: list[tuple[str, str]] = []
        #: runs that go on, in their state after this is written
        self.after: dict[str, Known] = {}
        #: run id → what is counted of a run that ends
        self.ended: dict[str, Ended] = {}
        #: run id → what failed in it without an attempt
        self.failures: dict[str, list[RunFailure]] = {}
        #: whether losing this group could lose more than a repetition
        self.durable = False
        #: the lifecycle events about all this: see `outbox`
        self.outbox = outbox.Outbox(outbox.interest())

    def add_plan(
        self, run_id: str, run: Known, graph: Graph, plan: Plan, *, reports: Sequence[Report], claimable: int
    ) -> None:
        view = run.snapshot.run
        change = plan.run
        steps = dict(run.snapshot.steps)
        snapshot = Snapshot(view.in_state(change.state) if change else view, steps)
        after = Known(snapshot, run.seq + 1, run.version_id, run.deadline_at, run.clock)
        ages = _ages(reports)
        claimed = len(self.claims)
        hinted = self._add_steps(after, steps, graph, plan, ages=ages, claimable=claimable)
        self.hints.extend((lane, run_id) for lane in hinted)
        for step in plan.cancels:
            self.cancels.append((run_id, step, repeatable(graph.steps[step])))
            # The database decides what becomes of its items.
            for key in [key for key in steps if key[0] == step and key[1] != NO_ITEM]:
                del steps[key]
        ended = change is not None and change.state.ended
        if change is not None and ended:
            self.durable = True
            self.ended[run_id] = (run_id, view.workflow, change.state, view.created_at)
        failed = (change is not None and change.error is not None) or any(one.error is not None for one in plan.steps)
        if failed and (failures := unattempted.of_plan(run_id, view.workflow, run.version_id, plan)):
            self.failures[run_id] = failures
        output, error = (to_json(change.output), to_json(change.error)) if change else (None, None)
        self.runs.append((run_id, run.seq, change.state if change else None, output, error, ended))
        if plan.opened:
            self._open(view, run.version_id, plan)
        if plan.closed:
            self.closed.extend((run_id, step, outcome) for step, outcome in plan.closed)
        for event in plan.events:
            self.durable = True
            self.events.append((run_id, event.type, event.step, event.item, event.attempt, to_json(event.detail)))
        if self.outbox.wanted:
            self.outbox.decided(view, run.version_id, plan, claims=self.claims[claimed:], ages=ages)
        if any(not step.state.ended for step in steps.values()):
            self.after[run_id] = after

    def add_new(self, run: NewRun) -> list[str]:
        """The first steps of a run that is inserted with them. Returns the lanes that wait for a worker."""
        steps: dict[StepKey, StepView] = {}
        if self.outbox.wanted:
            self.outbox.started(run)
            self.outbox.decided(run.view, run.version_id, run.plan, started_by=run.started_by)
        if run.plan.opened:
            self._open(run.view, run.version_id, run.plan, run.started_by)
        return self._add_steps(Known(Snapshot(run.view, steps), 0, run.version_id, None), steps, run.graph, run.plan)

    def _open(self, run: RunView, version_id: int, plan: Plan, started_by: str = "") -> None:
        """Tasks for people. started_by: of a run that is inserted with them; '': it is read from the run's row."""
        inputs = {change.step: change.input for change in plan.steps if change.item == NO_ITEM}
        for one in plan.opened:
            row = (
                run.id, one.step, run.workflow, run.business_key, version_id, one.title, to_json(inputs[one.step]),
                one.content, one.seats, to_json(list(one.roles)), one.first, started_by,
            )  # fmt: skip
            self.opened.append(row)

    def open_tasks(self, condition: str = "") -> tuple[str, list[str]]:
        """The CTE that inserts the tasks for people, and its parameters. condition: on `v`, the rows."""
        return OPEN.replace("{condition}", condition), [to_array(column) for column in zip(*self.opened, strict=True)]

    def _add_steps(
        self,
        run: Known,
        steps: dict[StepKey, StepView],
        graph: Graph,
        plan: Plan,
        *,
        ages: Mapping[StepKey, Ages] = MappingProxyType({}),
        claimable: int = 0,
    ) -> list[str]:
        """The steps' rows; `steps`, which are those of `run`, become what they are afterwards: of items, those that the
        reporter runs. Returns the lanes that wait for a worker, each as often as there are portions of items for one.
        """
        hinted: set[str] = set()
        waiting: dict[str, int] = defaultdict(int)
        view = run.snapshot.run
        lane = Lane(view.lane)
        # The worker that begins a fan-out takes as many items at once as a worker that gets a message about it.
        items_claimable = PORTION if claimable > 0 else 0
        for change in plan.steps:
            node = graph.steps[change.step]
            step_lane = lane if node.essential else DEFERRED_LANE[lane]
            state, attempt = change.state, change.attempt
            began, ended = ages.get((change.step, change.item), (None, None))
            self.durable |= node.durable or state is StepState.FAILED
            if state is StepState.READY:
                # Only new steps, because their input is at hand. A step that is tried again may go to another worker.
                room = claimable if change.item == NO_ITEM else items_claimable
                if change.new and room > 0 and step_lane == lane and not lacking.lacks(run.version_id, change.step):
                    if change.item == NO_ITEM:
                        claimable -= 1
                    else:
                        items_claimable -= 1
                    state, attempt, began = StepState.RUNNING, attempt + 1, 0.0
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
                            # No worker goes on from an item by itself.
                            run.snapshot if change.item == NO_ITEM else None,
                        )
                    )
                elif change.item == NO_ITEM:
                    hinted.add(step_lane)
                else:
                    waiting[step_lane] += 1
            if change.item == NO_ITEM:
                fan = plan.fans.get(change.step)
                steps[change.step, NO_ITEM] = StepView(state, attempt, change.failures, change.lost, change.output, fan)
            elif state is StepState.RUNNING:
                steps[change.step, change.item] = StepView(state, attempt, change.failures, change.lost)
            else:
                steps.pop((change.step, change.item), None)
            row = (
                view.id, change.step, change.item, state, attempt, change.failures, change.lost,
                to_json(change.output), to_json(change.error), change.due_at, ended,
            )  # fmt: skip
            if change.new:
                # A step with an attempt was claimed here, or began in a stride.
                worker = self._reporter if attempt else None
                if state is StepState.WAITING or (change.items is not None and state is StepState.RUNNING):
                    began = 0.0
                self.step_inserts.append((*row, step_lane, worker, to_json(change.input), began, change.items))
            else:
                self.step_updates.append(row)
        for step, fan in plan.fans.items():
            steps[step, NO_ITEM] = replace(steps[step, NO_ITEM], fan=fan)
        for step, count in plan.releases:
            node = graph.steps[step]
            step_lane = lane if node.essential else DEFERRED_LANE[lane]
            mine = step_lane == lane and not lacking.lacks(run.version_id, step)
            own = max(0, min(count, claimable)) if mine else 0
            claimable -= own
            waiting[step_lane] += count - own
            self.releases.append((view.id, step, count, own, self._reporter))
        return [other for other in Lane for _ in range(max(other in hinted, portions(waiting.get(other, 0))))]

    def write(self, cursor: Any) -> set[str]:
        """One statement, and so one round trip. Returns the runs for which `seq` held; of others nothing is written."""
        parts: list[str] = []
        parameters: list[Any] = []
        told, tell = self.outbox.parts() if self.outbox else ((), ())
        for statement, rows in (
            (outbox.with_started_by(_UPDATE_RUNS) if told else _UPDATE_RUNS, self.runs),
            (_UPDATE_STEPS, self.step_updates),
            (_INSERT_STEPS, self.step_inserts),
            (_INSERT_EVENTS, self.events),
            (RELEASE, self.releases),
            (_OPEN_TASKS, self.opened),
            (CLOSE, self.closed),
        ):
            if rows:
                parts.append(statement)
                parameters.extend(to_array(column) for column in zip(*rows, strict=True))
        parts.extend(told)
        parameters.extend(tell)
        # An intermediate checkpoint of idempotent steps: losing it repeats the steps, nothing else.
        mode = losable(not self.durable)
        statement = f"WITH {','.join(parts)}\n{RELEASED if self.releases else _WRITTEN}"
        prepared.execute(cursor, statement, parameters, settings_first=mode)
        rows = cursor.fetchall()
        if self.releases:
            for run_id, step, *item, _ in rows:
                if step is not None:
                    self._claim_released(run_id, step, *item)
        return {row[0] for row in rows}

    def _claim_released(
        self, run_id: str, step: str, item: int, attempt: int, failures: int, lost: int, input: str | None
    ) -> None:
        after = self.after[run_id]
        run = after.snapshot.run
        # Nobody else can hold it yet.
        steps = cast("dict[StepKey, StepView]", after.snapshot.steps)
        steps[step, item] = StepView(StepState.RUNNING, attempt, failures, lost)
        self.claims.append(
            Claim(
                run_id,
                step,
                item,
                attempt,
                from_json(input),
                after.version_id,
                run.workflow,
                run.business_key,
                # A reporter goes on only in the lane of the run.
                run.lane,
                after.deadline_at,
                run.created_at,
            )
        )


def _ages(reports: Sequence[Report]) -> dict[StepKey, Ages]:
    """How long ago each step that was reported on began (if in a stride) and ended."""
    now = time.monotonic()
    ages: dict[StepKey, Ages] = {}
    for report in reports:
        if report.at is None:
            continue
        happened, age = report.happening, max(0.0, now - report.at)
        if isinstance(happened, StepTaken):
            ages[happened.step, happened.item] = (age, None)
        elif isinstance(happened, StepSucceeded | StepFailed):
            began, _ = ages.get((happened.step, happened.item), (None, None))
            ages[happened.step, happened.item] = (began, age)
    return ages


_STEP_COLUMNS = """%s::uuid[], %s::text[], %s::int[], %s::text[], %s::int[], %s::int[], %s::int[], %s::text[],
    %s::text[], %s::timestamptz[], %s::float8[]"""


_STEP_NAMES = "run_id, step, item, state, attempt, failures, lost, output, error, due_at"


_ENDS = ", ".join(f"'{state}'" for state in sorted(STEP_ENDS))


# Ages are all counted back from one moment, otherwise what came first could seem to have come last.
# A step that did not start again keeps the worker and the start of its last attempt.
_UPDATE_STEPS = f""" updated AS (
UPDATE workflows_steprun s
SET state = v.state, attempt = v.attempt, failures = v.failures, lost = v.lost,
    output = v.output::jsonb, error = v.error::jsonb, due_at = v.due_at, hinted_at = NULL,
    ready_at = CASE WHEN v.state = 'READY' THEN clock_timestamp() ELSE s.ready_at END,
    finished_at = CASE WHEN v.state IN ({_ENDS})
                       THEN greatest(s.started_at, statement_timestamp() - make_interval(secs => coalesce(v.ended, 0)))
                  END
FROM unnest({_STEP_COLUMNS}) AS v ({_STEP_NAMES}, ended)
WHERE s.run_id = v.run_id AND s.step = v.step AND s.item = v.item AND v.run_id IN (SELECT id FROM won)
)"""  # noqa: S608  (made of constants)


NEW_STEPS = f"""
INSERT INTO workflows_steprun ({_STEP_NAMES}, lane, worker_id, input, items, ready_at, started_at, finished_at)
SELECT run_id, step, item, state, attempt, failures, lost, output::jsonb, error::jsonb, due_at, lane, worker_id,
       input::jsonb, items,
       CASE WHEN state = 'READY' THEN clock_timestamp() ELSE statement_timestamp() - make_interval(secs => began) END,
       statement_timestamp() - make_interval(secs => began),
       CASE WHEN state IN ({_ENDS}) THEN statement_timestamp() - make_interval(secs => coalesce(ended, 0)) END
FROM unnest({_STEP_COLUMNS}, %s::text[], %s::bigint[], %s::text[], %s::float8[], %s::int[])
  AS v ({_STEP_NAMES}, ended, lane, worker_id, input, began, items)
"""  # noqa: S608  (made of constants)


_OPEN_TASKS = OPEN.replace("{condition}", "WHERE v.run_id IN (SELECT id FROM won)")

_INSERT_STEPS = f" inserted AS ({NEW_STEPS} WHERE v.run_id IN (SELECT id FROM won))"  # noqa: S608


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
