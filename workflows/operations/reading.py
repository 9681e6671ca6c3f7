"""Batches as they are shown: plain values, ready for JSON."""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final
from uuid import UUID

from cachetools import LRUCache
from django.db.models import Count

from erip.foundation.db.retry import retry_transaction
from workflows.engine.spaces import workflows_in
from workflows.errors import UnknownBatch
from workflows.models import BatchRun, RunBatch
from workflows.operations.operation import PENDING
from workflows.queries import MAX_PAGE, Page

#: batches whose outcomes a process keeps in mind
_KEPT: Final = 256
#: how many times as long as a count took it is good for: whoever asks all the time does not make PostgreSQL count all
#: the time
_GOOD_FOR: Final = 50
#: seconds that they are shown at most: a count may take long because it had to wait for a connection
_LONGEST: Final = 10.0


class Progress:
    """How many runs of each batch have which outcome, as they were counted last. For any thread.

    A batch may have 100,000 runs, and people and programs ask again and again how far it is. What was counted is shown
    for a while that follows what it cost: a small batch is counted each time, nearly. That of one that has ended stays.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        #: (batch, whether it has ended) → (outcomes, until when they are shown)
        self._known: LRUCache[tuple[str, bool], tuple[Mapping[str, int], float]] = LRUCache(_KEPT)

    def of(self, batch: RunBatch) -> Mapping[str, int]:
        key = (str(batch.pk), batch.finished_at is not None)
        began = self._clock()
        with self._lock:
            outcomes, until = self._known.get(key, ({}, 0.0))
        if began < until:
            return outcomes
        counts = BatchRun.objects.filter(batch=batch).values_list("outcome").annotate(count=Count("run_id"))
        outcomes = {outcome or PENDING: count for outcome, count in counts.order_by("outcome")}
        took = self._clock() - began
        with self._lock:
            self._known[key] = (outcomes, float("inf") if key[1] else began + took + min(took * _GOOD_FOR, _LONGEST))
        return outcomes


_progress = Progress()


@retry_transaction
def batch_document(batch_id: str, progress: Progress = _progress) -> dict[str, Any]:
    """A batch with its progress. Raises UnknownBatch."""
    batch = _batch(batch_id)
    return {**_shown(batch), "outcomes": dict(progress.of(batch))}


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
