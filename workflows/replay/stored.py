"""Reads runs with all that is known of them, some at a time, each as of one moment. Writes nothing: the database would
refuse it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Model

from erip.foundation.db.committing import nothing_before_commit
from workflows.core.machine import RunView, StepKey
from workflows.core.states import RunState, StepState
from workflows.models import ArchivedRun, ArchivedRunEvent, ArchivedStepRun, RunEvent, StepRun, WorkflowRun
from workflows.replay.history import StoredEvent, StoredRow, StoredRun

#: runs that are in memory at once
_AT_ONCE = 50
_TABLES: tuple[tuple[Any, Any, Any], ...] = (
    (ArchivedRun, ArchivedStepRun, ArchivedRunEvent),
    (WorkflowRun, StepRun, RunEvent),
)


PLACES = len(_TABLES)


def some_runs(place: int, last: UUID, *, workflow: str, open: bool | None, limit: int) -> list[StoredRun]:
    """The next runs of a workflow after the id `last`, of the archive (place 0) or not (1), at most `limit` and those
    that are in memory at once. open: only runs that have not ended, or only those that have; None: both."""
    only = {} if open is None or place == 0 else {"finished_at__isnull": open}
    if place == 0 and open is True:
        return []
    return _some(*_TABLES[place], last, workflow, only=only, limit=min(limit, _AT_ONCE))


def runs_since(since: datetime, *, workflow: str | None = None) -> Iterator[StoredRun]:
    """The runs that were created at `since` or later, archived ones first, oldest first."""
    for runs, steps, events in _TABLES:
        # Ids sort by their time, so the search begins at an id.
        last = UUID(int=max(0, int(since.timestamp() * 1000)) << 80)
        while found := _some(runs, steps, events, last, workflow):
            yield from found
            last = UUID(found[-1].view.id)


def _some(
    runs: type[Model],
    steps: type[Model],
    events: type[Model],
    last: UUID,
    workflow: str | None,
    *,
    only: Mapping[str, Any] = MappingProxyType({}),
    limit: int = _AT_ONCE,
) -> list[StoredRun]:
    with nothing_before_commit(), transaction.atomic():
        if connection.get_autocommit() is False and len(connection.savepoint_ids) == 0:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        wanted = runs._default_manager.filter(pk__gt=last, **only)
        if workflow is not None:
            wanted = wanted.filter(workflow=workflow)
        found: list[Any] = list(wanted.order_by("pk")[:limit])
        ids = [run.pk for run in found]
        rows: dict[UUID, dict[StepKey, StoredRow]] = defaultdict(dict)
        for row in steps._default_manager.filter(run_id__in=ids).order_by("run_id", "step", "item"):
            rows[row.run_id][row.step, row.item] = _row(row)  # type: ignore[attr-defined]
        happened: dict[UUID, list[StoredEvent]] = defaultdict(list)
        for event in events._default_manager.filter(run_id__in=ids).order_by("run_id", "id"):
            happened[event.run_id].append(_event(event))  # type: ignore[attr-defined]
    return [_run(run, rows[run.pk], happened[run.pk]) for run in found]


def _run(run: Any, rows: dict[StepKey, StoredRow], events: list[StoredEvent]) -> StoredRun:
    view = RunView(
        str(run.pk), run.workflow, run.business_key, run.lane, RunState(run.state), run.input, run.created_at
    )
    return StoredRun(view, run.version_id, run.output, run.error, run.finished_at, rows, events)


def _row(row: Any) -> StoredRow:
    return StoredRow(
        state=StepState(row.state),
        attempt=row.attempt,
        failures=row.failures,
        lost=row.lost,
        input=row.input,
        output=row.output,
        error=row.error,
        items=row.items,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _event(event: Any) -> StoredEvent:
    return StoredEvent(event.at, event.type, event.step, event.item, event.attempt, event.detail)
