"""Batches as they are shown: plain values, ready for JSON."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import Count

from erip.foundation.db.retry import retry_transaction
from workflows.engine.spaces import workflows_in
from workflows.errors import UnknownBatch
from workflows.models import BatchRun, RunBatch
from workflows.operations.operation import PENDING
from workflows.queries import MAX_PAGE, Page


@retry_transaction
def batch_document(batch_id: str) -> dict[str, Any]:
    """A batch with its progress. Raises UnknownBatch."""
    batch = _batch(batch_id)
    counts = BatchRun.objects.filter(batch=batch).values_list("outcome").annotate(count=Count("run_id"))
    outcomes = {outcome or PENDING: count for outcome, count in counts.order_by("outcome")}
    return {**_shown(batch), "outcomes": outcomes}


@retry_transaction
def list_batches(*, cursor: str | None = None, limit: int = 50, spaces: Collection[str] | None = None) -> Page:
    """Batches, newest first. cursor: the last id of the page before. spaces: only those whose runs are all of workflows
    in these."""
    batches = RunBatch.objects.order_by("-id")
    if spaces is not None:
        batches = batches.filter(workflows__len__gt=0, workflows__contained_by=workflows_in(spaces))
    if cursor is not None:
        batches = batches.filter(id__lt=UUID(cursor))
    limit = max(1, min(limit, MAX_PAGE))
    found = list(batches[: limit + 1])
    items = [_shown(batch) for batch in found[:limit]]
    return Page(items, items[-1]["id"] if len(found) > limit else None)


@retry_transaction
def list_batch_runs(batch_id: str, *, outcome: str | None = None, cursor: str | None = None, limit: int = 50) -> Page:
    """The runs of a batch, oldest run first. outcome: only those with this one; "pending": those that have none yet.
    cursor: the last run of the page before. Raises UnknownBatch."""
    runs = BatchRun.objects.filter(batch=_batch(batch_id)).order_by("run_id")
    if outcome == PENDING:
        runs = runs.filter(outcome__isnull=True)
    elif outcome is not None:
        runs = runs.filter(outcome=outcome)
    if cursor is not None:
        runs = runs.filter(run_id__gt=UUID(cursor))
    limit = max(1, min(limit, MAX_PAGE))
    found = list(runs.values_list("run_id", "outcome", "result", "detail", "at")[: limit + 1])
    items = [
        {
            "run": str(run_id),
            "outcome": outcome or PENDING,
            "result": str(result) if result else None,
            "detail": detail,
            "at": at,
        }
        for run_id, outcome, result, detail, at in found[:limit]
    ]
    return Page(items, str(items[-1]["run"]) if len(found) > limit else None)


def _batch(batch_id: str) -> RunBatch:
    batch = RunBatch.objects.filter(pk=UUID(batch_id)).first()
    if batch is None:
        raise UnknownBatch
    return batch


def status_of(batch: RunBatch) -> str:
    return "done" if batch.finished_at else "waiting" if batch.waits_for else "working"


def _shown(batch: RunBatch) -> dict[str, Any]:
    return {
        "id": str(batch.pk),
        "operation": batch.operation,
        "status": status_of(batch),
        "count": batch.total,
        "filter": batch.filter,
        "reason": batch.reason,
        "created_by": batch.created_by,
        "created_at": batch.created_at,
        "finished_at": batch.finished_at,
        "waits_for": batch.waits_for,
    }
