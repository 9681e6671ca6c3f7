"""What can be read of workflows: plain values, ready for JSON. Nothing here changes anything."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import connection, connections
from django.db.models import Count, F

from erip.foundation import json_values
from erip.foundation.db import prepared
from erip.foundation.db.failures import ERRORS, sqlstate
from erip.foundation.db.retry import retry_transaction
from erip.foundation.db.router import reading_alias, reads_from_replica
from workflows.core.graph import Graph, StepNode
from workflows.core.machine import NO_ITEM, StepView
from workflows.core.machine.items import FanView
from workflows.core.states import RunState, StepState
from workflows.errors import FilterTooSlow, UnknownRun, UnknownStep
from workflows.graphs import graph_of
from workflows.models import ArchivedRun, ArchivedStepRun, StepRun, WorkflowRun, WorkflowVersion, find_run
from workflows.models.runs import StepColumns
from workflows.store import RunFilter, ids_by_part_of_key

MAX_PAGE = 200
#: events of fan-out items that are returned for one run; the items themselves can be listed
MAX_ITEM_EVENTS = 1_000


@dataclass(frozen=True, slots=True)
class Page:
    items: list[dict[str, Any]]
    #: hand it in as `cursor` for the next page; None at the end
    next_cursor: str | None


@retry_transaction
def run_finished(run_id: str) -> bool:
    """Whether the run has ended. Raises UnknownRun."""
    for kept in (WorkflowRun, ArchivedRun):
        state = kept.objects.filter(pk=_uuid(run_id)).values_list("state", flat=True).first()
        if state is not None:
            return RunState(state).ended
    raise UnknownRun


@retry_transaction
def run_detail(run_id: str) -> dict[str, Any]:
    """A run with all its steps, in the order of the definition. Raises UnknownRun.

    For a fan-out it says how many items there are, and how many of them are in each state.
    """
    id_ = _uuid(run_id)
    with connection.cursor() as cursor:
        # In this order: a run that is archived between the two looks is found by the second.
        for runs, steps in ((WorkflowRun, StepRun), (ArchivedRun, ArchivedStepRun)):
            sql = _DETAIL.format(runs=runs._meta.db_table, steps=steps._meta.db_table)
            prepared.execute(cursor, sql, [NO_ITEM, str(id_)])
            if rows := cursor.fetchall():
                break
        else:
            raise UnknownRun
    version_id, *first = rows[0][: len(_SUMMARY) + 3]
    *summary, input_, output = first
    run = {"id": str(id_), **_summary(summary)}
    by_step = {step: _told(*told) for step, *told in (row[len(_SUMMARY) + 3 :] for row in rows) if step is not None}
    counts = _item_counts(runs, id_) if any(step["items"] is not None for step in by_step.values()) else {}
    ended = RunState(run["status"]).ended
    graph = graph_of(version_id)
    told = [_step(node, by_step.get(node.id), ended, counts.get(node.id)) for node in graph.steps.values()]
    if not ended or any(step["status"] in _GOING_ON for step in told):
        _explain(graph, told)
    for step in told:
        del step["workers"], step["gone"]
    return {**run, "input": _json(input_), "output": _json(output), "steps": told}


@reads_from_replica
def list_items(
    run_id: str, step: str, *, status: str | None = None, cursor: int | None = None, limit: int = 50
) -> Page:
    """The items of a fan-out, in their order; none of a step that is no fan-out or has not begun.

    cursor: the last item of the page before. Raises UnknownRun, UnknownStep.
    """
    run = _run(run_id)
    node = graph_of(run.version_id).steps.get(step)
    if node is None:
        raise UnknownStep(f'The run has no step "{step}".')
    rows = run.steps.filter(step=step, item__gt=NO_ITEM if cursor is None else cursor)
    if status is not None:
        rows = rows.filter(state=status)
    limit = max(1, min(limit, MAX_PAGE))
    found = list(rows.select_related("worker").order_by("item")[: limit + 1])
    items = [{"item": row.item, **_of_row(row)} for row in found[:limit]]
    return Page(items, str(items[-1]["item"]) if len(found) > limit else None)


@reads_from_replica
def list_runs(wanted: RunFilter | None = None, *, cursor: str | None = None, limit: int = 50) -> Page:
    """Runs, newest first. cursor: the last id of the page before.

    Raises UnknownRun if the cursor is not an id, and FilterTooSlow.
    """
    wanted = wanted or RunFilter()
    where, parameters = wanted.where()
    before = _uuid(cursor) if cursor is not None else None
    if before is not None:
        where += " AND r.id < %s"
        parameters.append(before)
    limit = max(1, min(limit, MAX_PAGE))
    kept: list[tuple[Any, ...]] = []
    with in_time(), connections[reading_alias()].cursor() as database:
        for table in (WorkflowRun._meta.db_table, ArchivedRun._meta.db_table):
            also, more_parameters = "", []
            if (part := wanted.business_key_contains) is not None:
                ids = ids_by_part_of_key(database, table, part, before=before)
                if ids is not None:
                    also, more_parameters = " AND r.id = ANY(%s::uuid[])", [ids]
            database.execute(_LIST.format(runs=table, where=where + also), [*parameters, *more_parameters, limit + 1])
            kept += database.fetchall()
    found = sorted(kept, key=itemgetter(0), reverse=True)
    more = len(found) > limit
    items = [{"id": str(id_), **_summary(columns)} for id_, *columns in found[:limit]]
    return Page(items, items[-1]["id"] if more else None)


@contextmanager
def in_time() -> Iterator[None]:
    """Tells a filter that takes too long from a database that is away. Raises FilterTooSlow."""
    try:
        yield
    except ERRORS as error:
        if sqlstate(error) == _TOOK_TOO_LONG:
            raise FilterTooSlow from error
        raise


@reads_from_replica
def run_events(run_id: str) -> list[dict[str, Any]]:
    """A run's life, oldest first: the ordinary events, read from its rows, and everything else that was recorded.

    For items of fan-outs there are only the recorded events, and of these the first MAX_ITEM_EVENTS.
    Each is {at, type, step, item, attempt, worker, detail}. Raises UnknownRun.
    """
    run = _run(run_id)
    events = [_event(run.created_at, "run.accepted", detail={"by": run.started_by, "lane": run.lane})]
    if run.started_at:
        events.append(_event(run.started_at, "run.started"))
    if run.finished_at:
        events.append(_event(run.finished_at, f"run.{run.state.lower()}", detail=_error_detail(run.error)))
    for row in run.steps.filter(item=NO_ITEM).select_related("worker"):
        told = {
            "step": row.step,
            "item": _item(row.item),
            "attempt": row.attempt or None,
            "worker": row.worker.name if row.worker else None,
        }
        if row.started_at:
            events.append(_event(row.started_at, "step.started", **told))
        if row.finished_at:
            events.append(_event(row.finished_at, f"step.{row.state.lower()}", detail=_error_detail(row.error), **told))
    told_as = {"run.cancelled": "run.cancel_requested", "run.timed_out": "run.deadline_missed"}
    recorded = run.events.all()
    for event in [
        *recorded.filter(item=NO_ITEM),
        *recorded.filter(item__gt=NO_ITEM).order_by("id")[:MAX_ITEM_EVENTS],
    ]:
        name = told_as.get(event.type, event.type)
        events.append(
            _event(event.at, name, step=event.step, item=_item(event.item), attempt=event.attempt, detail=event.detail)
        )
    # Rows of one transaction share a moment; then the natural order of a run's life decides.
    return [event for _, _, event in sorted(((e["at"], _rank(e), e) for e in events), key=lambda e: e[:2])]


def latest_author(workflow: str) -> str | None:
    """Who published the latest version of a workflow; None if there is no such workflow."""
    latest = WorkflowVersion.objects.filter(definition__name=workflow, number=F("definition__latest"))
    return latest.values_list("author", flat=True).first()


def _run(run_id: str) -> WorkflowRun | ArchivedRun:
    run = find_run(_uuid(run_id))
    if run is None:
        raise UnknownRun
    return run


def _uuid(text: str) -> UUID:
    try:
        return UUID(str(text))
    except ValueError:
        raise UnknownRun from None


#: what is shown of a run besides its id, in the order of _SUMMARY_COLUMNS
_SUMMARY = (
    "workflow",
    "version",
    "status",
    "lane",
    "business_key",
    "error",
    "created_at",
    "started_at",
    "finished_at",
    "deadline_at",
    "started_by",
    "retry_of",
    "retried_as",
)

_SUMMARY_COLUMNS = """r.workflow, v.number, r.state, r.lane, r.business_key, r.error::text, r.created_at, r.started_at,
       r.finished_at, r.deadline_at, r.started_by,
       (SELECT t.retry_of::text FROM workflows_runretry t WHERE t.retried_as = r.id),
       (SELECT t.retried_as::text FROM workflows_runretry t WHERE t.retry_of = r.id)"""

_LIST = f"""
SELECT r.id, {_SUMMARY_COLUMNS}
FROM {{runs}} r JOIN workflows_workflowversion v ON v.id = r.version_id
WHERE {{where}} ORDER BY r.id DESC LIMIT %s
"""  # noqa: S608  (made of constants)

# One round trip: clients that wait for the outcome wait for this. Columns that may be large come only in the first row.
_DETAIL = f"""
SELECT r.version_id, {_SUMMARY_COLUMNS},
       CASE WHEN row_number() OVER () = 1 THEN r.input END, CASE WHEN row_number() OVER () = 1 THEN r.output END,
       s.step, s.state, s.attempt, w.name, s.started_at, s.finished_at, s.input, s.output, s.error, s.items,
       s.due_at,
       CASE WHEN s.state = 'READY' THEN (
           SELECT ARRAY[count(*), count(*) FILTER (WHERE r.version_id || ' ' || s.step = ANY(w.lacks))]
           FROM workflows_worker w WHERE w.stopped_at IS NULL AND s.lane = ANY(string_to_array(w.lanes, ','))) END,
       w.stopped_at IS NOT NULL
FROM {{runs}} r JOIN workflows_workflowversion v ON v.id = r.version_id
LEFT JOIN {{steps}} s ON s.run_id = r.id AND s.item = %s
LEFT JOIN workflows_worker w ON w.id = s.worker_id
WHERE r.id = %s
"""  # noqa: S608  (made of constants)

#: the SQLSTATE of a statement that was ended for the time that it took
_TOOK_TOO_LONG = "57014"


def _summary(columns: Sequence[Any]) -> dict[str, Any]:
    told = dict(zip(_SUMMARY, columns, strict=True))
    told["error"] = _json(told["error"])
    return told


def _json(text: str | None) -> Any:
    return None if text is None else json_values.load(text)


def _told(*columns: Any) -> dict[str, Any]:
    """A step, read from its row."""
    state, attempt, worker, started_at, finished_at, input_, output, error, items, due_at, workers, gone = columns
    return {
        "status": state,
        "attempt": attempt,
        "worker": worker,
        "started_at": started_at,
        "finished_at": finished_at,
        "input": _json(input_),
        "output": _json(output),
        "error": _json(error),
        "items": items,
        "due_at": due_at,
        "workers": workers,
        "gone": gone,
    }


def _step(node: StepNode, told: dict[str, Any] | None, ended: bool, counts: dict[str, int] | None) -> dict[str, Any]:
    # A step that never got a row either still waits for its needs, or the run ended without it.
    without = _told(str(StepState.CANCELLED if ended else StepState.PENDING), 0, *[None] * 10)
    step = {
        "id": node.id,
        "item": None,
        "kind": node.kind,
        "uses": node.work.uses if node.work else None,
        "needs": list(node.needs),
        "essential": node.essential,
        **(told or without),
        "waits_for": None,
    }
    if step["items"] is not None:
        step["items"] = {"total": step["items"], "by_status": counts or {}}
    return step


_GOING_ON = frozenset({StepState.READY, StepState.RUNNING, StepState.WAITING, StepState.PAUSED, StepState.UNKNOWN})


def _explain(graph: Graph, steps: Sequence[dict[str, Any]]) -> None:
    """Say what each step that has not ended waits for; a step that has not begun waits for other steps."""
    ended = {step["id"] for step in steps if StepState(step["status"]).ended}
    for step in steps:
        node, state = graph.steps[step["id"]], StepState(step["status"])
        if state is StepState.PENDING:
            needs = [need for need in node.needs if need not in ended] or ["the other steps"]
            step["waits_for"] = f"waits for {' and '.join(needs)} to end"
        elif state in _GOING_ON:
            counts = step["items"]["by_status"] if step["items"] else None
            fan = FanView.of({StepState(name): count for name, count in counts.items()}) if counts else None
            step["waits_for"] = node.how.explain(
                StepView(state, step["attempt"], output=step["output"], fan=fan), step["due_at"]
            )
            if state is StepState.READY and node.work and step["workers"]:
                step["waits_for"] += _why_no_worker(node.work.uses, *step["workers"])
            elif state is StepState.RUNNING and node.work and step["gone"]:
                step["waits_for"] = (
                    f"the worker of attempt {step['attempt']} is gone: waits for a leader that has the step"
                    f" {node.work.uses}"
                )


def _why_no_worker(uses: str, living: int, lacking: int) -> str:
    """living: workers that serve the step's lane. lacking: those of them that lack the step."""
    if not living:
        return ": none that serves its lane is alive"
    if lacking == living == 1:
        return f" that has the step {uses} with these inputs: the only one that serves its lane lacks it"
    if lacking == living:
        return f" that has the step {uses} with these inputs: none of the {living} that serve its lane has it"
    if not lacking:
        return ""
    return (
        f" that has the step {uses} with these inputs: {lacking} of the {living} that serve its lane"
        f" {'lacks' if lacking == 1 else 'lack'} it"
    )


def _of_row(row: StepColumns) -> dict[str, Any]:
    return {
        "status": row.state,
        "attempt": row.attempt,
        "worker": row.worker.name if row.worker else None,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "input": row.input,
        "output": row.output,
        "error": row.error,
    }


def _item_counts(runs: type[WorkflowRun | ArchivedRun], run_id: UUID) -> dict[str, dict[str, int]]:
    """For each fan-out of the run: how many of its items are in each state."""
    counts: dict[str, dict[str, int]] = {}
    steps = ArchivedStepRun if runs is ArchivedRun else StepRun
    rows = steps.objects.filter(run_id=run_id, item__gt=NO_ITEM).values_list("step", "state")
    for step, state, count in rows.annotate(count=Count("item")).order_by("step", "state"):
        counts.setdefault(step, {})[state] = count
    return counts


def _event(at: datetime, type: str, **told: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"step": None, "item": None, "attempt": None, "worker": None, "detail": {}}
    return {"at": at, "type": type, **empty, **told}


def _item(item: int) -> int | None:
    return None if item == NO_ITEM else item


def _error_detail(error: Any) -> dict[str, Any]:
    return {"error": error} if error else {}


def _rank(event: dict[str, Any]) -> int:
    kind, _, what = event["type"].partition(".")
    if kind == "run":
        return {"accepted": 0, "started": 1}.get(what, 9)
    return 3 if what == "started" else 5
