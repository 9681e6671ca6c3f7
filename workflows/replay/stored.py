"""Reads runs with all that is known of them, some at a time, each as of one moment. Writes nothing: the database would
refuse it.

Note [Large runs]
A run may have 10,000 items, each with an output. So what is asked by a request is measured before it is read: a run
with more than ROWS rows and events, or BYTES of them, is named and not read, and no more runs are in memory at once
than have that together. `manage.py replay` reads them all: it has the time.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Model

from erip.foundation.db.committing import nothing_before_commit
from workflows.core.machine import RunView, StepKey
from workflows.core.states import RunState, StepState
from workflows.models import ArchivedRun, ArchivedRunEvent, ArchivedStepRun, RunEvent, StepRun, WorkflowRun
from workflows.replay.history import StoredEvent, StoredRow, StoredRun
from workflows.replay.pages import begin_of

#: runs that are in memory at once
_AT_ONCE = 50
_TABLES: tuple[tuple[Any, Any, Any], ...] = (
    (ArchivedRun, ArchivedStepRun, ArchivedRunEvent),
    (WorkflowRun, StepRun, RunEvent),
)


#: rows and events that are in memory at once, and bytes of their JSON
ROWS: Final = 20_000
BYTES: Final = 32 * 1024 * 1024
#: What is stored may be compressed, a hundredfold. So what is small enough as it is stored is measured as it is read.
_SIZES: Final = """
SELECT r.id, s.rows + e.rows, CASE WHEN s.rows + e.rows > %s OR s.bytes + e.bytes + coalesce(pg_column_size(r.input), 0)
    + coalesce(pg_column_size(r.output), 0) > %s THEN NULL ELSE coalesce(octet_length(r.input::text), 0)
    + coalesce(octet_length(r.output::text), 0) + (SELECT coalesce(sum(coalesce(octet_length(input::text), 0)
        + coalesce(octet_length(output::text), 0) + coalesce(octet_length(error::text), 0)), 0)
        FROM {steps} WHERE run_id = r.id)
    + (SELECT coalesce(sum(octet_length(detail::text)), 0) FROM {events} WHERE run_id = r.id) END
FROM {runs} r,
LATERAL (SELECT count(*) AS rows, coalesce(sum(coalesce(pg_column_size(input), 0)
    + coalesce(pg_column_size(output), 0) + coalesce(pg_column_size(error), 0)), 0) AS bytes
    FROM {steps} WHERE run_id = r.id) s,
LATERAL (SELECT count(*) AS rows, coalesce(sum(pg_column_size(detail)), 0) AS bytes FROM {events} WHERE run_id = r.id) e
WHERE r.id = ANY(%s) ORDER BY r.id
"""


@dataclass(frozen=True, slots=True)
class LargeRun:
    """A run that was not read."""

    id: str
    business_key: str | None
    state: str
    is_open: bool
    rows: int


def some_runs(place: int, last: UUID, *, workflow: str, open: bool | None, limit: int) -> list[StoredRun | LargeRun]:
    """The next runs of a workflow after the id `last`, of the archive (place 0) or not (1), at most `limit` and those
    that are in memory at once; none: there are no more. open: only runs that have not ended, or only those that have;
    None: both."""
    only = {} if open is None or place == 0 else {"finished_at__isnull": open}
    if place == 0 and open is True:
        return []
    return _some(*_TABLES[place], last, workflow, only=only, limit=min(limit, _AT_ONCE), bounded=True)


def runs_since(since: datetime, *, workflow: str | None = None) -> Iterator[StoredRun]:
    """The runs that were created at `since` or later, archived ones first, oldest first."""
    for runs, steps, events in _TABLES:
        last = begin_of(since)
        while found := _some(runs, steps, events, last, workflow):
            for run in found:
                assert isinstance(run, StoredRun)
                yield run
                last = UUID(run.view.id)


def _some(
    runs: type[Model],
    steps: type[Model],
    events: type[Model],
    last: UUID,
    workflow: str | None,
    *,
    only: Mapping[str, Any] = MappingProxyType({}),
    limit: int = _AT_ONCE,
    bounded: bool = False,
) -> list[StoredRun | LargeRun]:
    with nothing_before_commit(), transaction.atomic():
        if connection.get_autocommit() is False and len(connection.savepoint_ids) == 0:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        wanted = runs._default_manager.filter(pk__gt=last, **only)
        if workflow is not None:
            wanted = wanted.filter(workflow=workflow)
        large: dict[UUID, int] = {}
        if bounded:
            ids, large = _within(wanted.order_by("pk").values_list("pk", flat=True)[:limit], runs, steps, events)
            light: dict[UUID, Any] = {
                run.pk: run for run in wanted.filter(pk__in=list(large)).defer("input", "output", "error")
            }
            wanted = wanted.filter(pk__in=ids)
        found: list[Any] = [*wanted.exclude(pk__in=list(large)).order_by("pk")[:limit]]
        ids = [run.pk for run in found]
        rows: dict[UUID, dict[StepKey, StoredRow]] = defaultdict(dict)
        for row in steps._default_manager.filter(run_id__in=ids).order_by("run_id", "step", "item"):
            rows[row.run_id][row.step, row.item] = _row(row)  # type: ignore[attr-defined]
        happened: dict[UUID, list[StoredEvent]] = defaultdict(list)
        for event in events._default_manager.filter(run_id__in=ids).order_by("run_id", "id"):
            happened[event.run_id].append(_event(event))  # type: ignore[attr-defined]
    read: dict[UUID, StoredRun | LargeRun] = {run.pk: _run(run, rows[run.pk], happened[run.pk]) for run in found}
    for id_, count in large.items():
        run = light[id_]
        read[id_] = LargeRun(str(id_), run.business_key, str(run.state), run.finished_at is None, count)
    return [read[id_] for id_ in sorted(read)]


def _within(
    wanted: Iterable[UUID], runs: type[Model], steps: type[Model], events: type[Model]
) -> tuple[list[UUID], dict[UUID, int]]:
    """Of these runs, as many from the first on as may be in memory at once: (their ids, rows of those too large)."""
    tables = {"runs": runs._meta.db_table, "steps": steps._meta.db_table, "events": events._meta.db_table}
    with connection.cursor() as cursor:
        cursor.execute(_SIZES.format(**tables), [ROWS, BYTES, list(wanted)])
        sizes = cursor.fetchall()
    ids: list[UUID] = []
    large: dict[UUID, int] = {}
    left_rows, left_bytes = ROWS, BYTES
    for id_, count, size in sizes:
        if size is None or size > BYTES:
            large[id_] = int(count)
        elif count > left_rows or size > left_bytes:
            break
        else:
            left_rows, left_bytes = left_rows - count, left_bytes - size
        ids.append(id_)
    return ids, large


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
