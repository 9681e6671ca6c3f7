"""Operations on many runs at once: cancel or retry all that a filter matches, and see what became of each."""

from erip_client.models import Batch, BatchListed, BatchPreview, BatchRun, Page, RunFilter

from .base import Call, given, moment, to_json

_MOMENTS = ("created_after", "created_before", "ended_after", "ended_before")


def cancel_runs(
    filter: RunFilter,
    *,
    dry_run: bool = False,
    expected_count: int | None = None,
    reason: str = "",
    idempotency_key: str | None = None,
) -> Call[Batch | BatchPreview]:
    """Cancel all runs that have not ended and that the filter matches. dry_run: only count them.

    expected_count: how many there must be; Conflict otherwise, and nothing is done.
    """
    return _begin("cancel", filter, dry_run, expected_count, reason, idempotency_key)


def retry_runs(
    filter: RunFilter,
    *,
    dry_run: bool = False,
    expected_count: int | None = None,
    reason: str = "",
    idempotency_key: str | None = None,
) -> Call[Batch | BatchPreview]:
    """Run all FAILED and TIMED_OUT runs again that the filter matches (or those of its `status`), each once."""
    return _begin("retry", filter, dry_run, expected_count, reason, idempotency_key)


def pause_runs(
    filter: RunFilter,
    *,
    clock: str = "stop",
    dry_run: bool = False,
    expected_count: int | None = None,
    reason: str = "",
    idempotency_key: str | None = None,
) -> Call[Batch | BatchPreview]:
    """Pause all runs that the filter matches. clock: `stop` keeps what is left of each time, `go` does not."""
    return _begin("pause", filter, dry_run, expected_count, reason, idempotency_key, clock=clock)


def resume_runs(
    filter: RunFilter,
    *,
    dry_run: bool = False,
    expected_count: int | None = None,
    reason: str = "",
    idempotency_key: str | None = None,
) -> Call[Batch | BatchPreview]:
    """Resume all paused runs that the filter matches."""
    return _begin("resume", filter, dry_run, expected_count, reason, idempotency_key)


def list_batches(*, cursor: str | None = None, limit: int | None = None) -> Call[Page[BatchListed]]:
    """A page of batches, newest first."""
    return Call(
        operation="listBatches",
        method="GET",
        template="/api/v1/batches",
        query=given(cursor=cursor, limit=limit),
        answers={200: Page[BatchListed]},
    )


def get_batch(id: str) -> Call[Batch]:
    """A batch's progress."""
    return Call(
        operation="getBatch", method="GET", template="/api/v1/batches/{id}", path={"id": id}, answers={200: Batch}
    )


def list_batch_runs(
    id: str, *, outcome: str | None = None, cursor: str | None = None, limit: int | None = None
) -> Call[Page[BatchRun]]:
    """A page of what became of the runs of a batch."""
    return Call(
        operation="listBatchRuns",
        method="GET",
        template="/api/v1/batches/{id}/runs",
        path={"id": id},
        query=given(outcome=outcome, cursor=cursor, limit=limit),
        answers={200: Page[BatchRun]},
    )


def _begin(
    operation: str, filter: RunFilter, dry_run: bool, expected: int | None, reason: str, key: str | None, **more: str
) -> Call[Batch | BatchPreview]:
    wanted = {name: moment(value) if name in _MOMENTS else value for name, value in filter.items()}  # type: ignore[arg-type]
    body = {"filter": wanted, "dry_run": dry_run, "reason": reason, **given(expected_count=expected), **more}
    return Call(
        operation=f"{operation}Runs",
        method="POST",
        template=f"/api/v1/runs/{operation}",
        content=to_json(body),
        answers={200: BatchPreview, 202: Batch},
        keyed=True,
        key=key,
    )
