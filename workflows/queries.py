"""What can be read of workflows: plain values, ready for JSON. Nothing here changes anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count

from workflows.core.graph import Graph
from workflows.core.machine import NO_ITEM
from workflows.core.states import RunState, StepState
from workflows.errors import UnknownRun, UnknownStep
from workflows.graphs import graph_of
from workflows.models import ArchivedRun, WorkflowRun, find_run
from workflows.models.runs import StepColumns

MAX_PAGE = 200
#: events of a fan-out's items that are told of one run; its items can be listed
MAX_ITEM_EVENTS = 1_000


@dataclass(frozen=True, slots=True)
class Page:
    items: list[dict[str, Any]]
    #: hand it in as `cursor` for the next page; None at the end
    next_cursor: str | None


def run_finished(run_id: str) -> bool:
    """Whether the run has ended. Raises UnknownRun."""
    for kept in (WorkflowRun, ArchivedRun):
        state = kept.objects.filter(pk=_uuid(run_id)).values_list("state", flat=True).first()
        if state is not None:
            return RunState(state).ended
    raise UnknownRun


def run_detail(run_id: str) -> dict[str, Any]:
    """A run with all its steps, in the order of the definition. Raises UnknownRun.

    Of a fan-out: how many items it has, and how many of them are in which state.
    """
    run = _run(run_id)
    graph = graph_of(run.version_id)
    rows = list(run.steps.filter(item=NO_ITEM).select_related("worker"))
    return {**_summary(run), "input": run.input, "output": run.output, "steps": _steps(run, graph, rows)}


def list_items(
    run_id: str, step: str, *, status: str | None = None, cursor: int | None = None, limit: int = 50
) -> Page:
    """The items of a fan-out, in their order; none of a step that is no fan-out or has not begun.

    cursor: the item that the page before ended with. Raises UnknownRun, UnknownStep.
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


def list_runs(
    *,
    workflow: str | None = None,
    status: str | None = None,
    lane: str | None = None,
    business_key: str | None = None,
    created_after: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """Runs, newest first. cursor: the id that the page before ended with; raises UnknownRun where it is no id."""
    filters = {"workflow": workflow, "state": status, "lane": lane, "business_key": business_key}
    filters = {name: value for name, value in filters.items() if value is not None}
    limit = max(1, min(limit, MAX_PAGE))
    kept: list[WorkflowRun | ArchivedRun] = []
    for runs in (WorkflowRun.objects.all(), ArchivedRun.objects.all()):
        runs = runs.select_related("version").order_by("-id").defer("input", "output").filter(**filters)
        if created_after is not None:
            runs = runs.filter(created_at__gt=created_after)
        if cursor is not None:
            runs = runs.filter(id__lt=_uuid(cursor))
        kept += runs[: limit + 1]
    found = sorted(kept, key=lambda run: run.id, reverse=True)
    more = len(found) > limit
    items = [_summary(run) for run in found[:limit]]
    return Page(items, items[-1]["id"] if more else None)


def run_events(run_id: str) -> list[dict[str, Any]]:
    """A run's life, oldest first: the ordinary events as its rows tell them, and what else was recorded.

    Of the items of fan-outs only what was recorded of them, and of that the first MAX_ITEM_EVENTS.
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
    # Rows of one transaction share a moment; then the order of a life decides.
    return [event for _, _, event in sorted(((e["at"], _rank(e), e) for e in events), key=lambda e: e[:2])]


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


def _summary(run: WorkflowRun | ArchivedRun) -> dict[str, Any]:
    return {
        "id": str(run.pk),
        "workflow": run.workflow,
        "version": run.version.number,
        "status": run.state,
        "lane": run.lane,
        "business_key": run.business_key,
        "error": run.error,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "deadline_at": run.deadline_at,
        "started_by": run.started_by,
    }


def _steps(run: WorkflowRun | ArchivedRun, graph: Graph, rows: Any) -> list[dict[str, Any]]:
    by_key: Mapping[tuple[str, int], StepColumns] = {(row.step, row.item): row for row in rows}
    # What never got a row either still waits for its needs, or the run ended without it.
    without = StepState.CANCELLED if RunState(run.state).ended else StepState.PENDING
    counts = _item_counts(run) if any(row.items is not None for row in rows) else {}
    steps = []
    for node in graph.steps.values():
        row = by_key.get((node.id, NO_ITEM))
        step: dict[str, Any] = {
            "id": node.id,
            "item": None,
            "uses": node.uses,
            "needs": list(node.needs),
            "essential": node.essential,
            "status": str(without),
            "attempt": 0,
            "worker": None,
            "started_at": None,
            "finished_at": None,
            "input": None,
            "output": None,
            "error": None,
            "items": None,
        }
        if row is not None:
            step.update(_of_row(row))
            if row.items is not None:
                step["items"] = {"total": row.items, "by_status": counts.get(node.id, {})}
        steps.append(step)
    return steps


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


def _item_counts(run: WorkflowRun | ArchivedRun) -> dict[str, dict[str, int]]:
    """Of each fan-out of the run: how many of its items are in which state."""
    counts: dict[str, dict[str, int]] = {}
    rows = run.steps.filter(item__gt=NO_ITEM).values_list("step", "state")
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
