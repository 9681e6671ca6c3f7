"""Accepts batches and works them off. See Note [Batches] in `store/batches`."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import transaction

from erip.foundation.db import retry
from erip.foundation.db.failures import ERRORS, is_passing, said
from erip.foundation.db.retry import Attempt
from erip.foundation.faults import Fault
from erip.foundation.ids import new_run_id
from workflows import store
from workflows.errors import BatchTooLarge, CountDiffers, InvalidInput
from workflows.models import RunBatch
from workflows.operations.operation import FAILED, Operation, PutOff
from workflows.operations.registry import OPERATIONS
from workflows.queries import in_time
from workflows.store import Batch, Outcome, RunFilter, Selection

log = structlog.get_logger(__name__)

#: runs of one batch
MOST_RUNS = 100_000
#: runs in one transaction: enough to share its cost, few enough that a run's own worker does not wait for long
PORTION = 500
#: seconds until the next look at a batch of an operation that this release does not know
UNKNOWN_AGAIN_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class Preview:
    """What a batch would do. count: runs."""

    operation: str
    count: int
    by_workflow: Mapping[str, int]
    by_status: Mapping[str, int]


def preview(operation: Operation, wanted: RunFilter) -> Preview:
    """Count the runs that the operation would be done to now. Raises InvalidInput, FilterTooSlow."""
    return preview_of(operation, _select(operation, wanted))


def preview_of(operation: Operation, selection: Selection) -> Preview:
    """The same for a selection that the operation has narrowed. Raises FilterTooSlow."""
    with in_time():
        found = retry.run(lambda _: store.count_selected(selection))
    by_workflow: dict[str, int] = {}
    by_status: dict[str, int] = {}
    for workflow, state, count in found:
        by_workflow[workflow] = by_workflow.get(workflow, 0) + count
        by_status[state] = by_status.get(state, 0) + count
    return Preview(operation.name, sum(by_workflow.values()), by_workflow, by_status)


def begin(
    operation: Operation, wanted: RunFilter, *, principal: str, reason: str = "", expected: int | None = None
) -> str:
    """Accept a batch; when this returns it is durable. Returns its id.

    expected: how many runs there must be. Raises InvalidInput, CountDiffers, BatchTooLarge, FilterTooSlow.
    """
    selection = _select(operation, wanted)
    return begin_with(
        operation, selection, filter=wanted.document(), principal=principal, reason=reason, expected=expected
    )


def begin_with(
    operation: Operation,
    selection: Selection,
    *,
    filter: Mapping[str, Any],
    principal: str,
    reason: str = "",
    expected: int | None = None,
) -> str:
    """The same for a selection that the operation has narrowed. filter: what people read about it.

    Raises CountDiffers, BatchTooLarge, FilterTooSlow.
    """
    id_ = new_run_id()

    def accept(attempt: Attempt) -> None:
        if attempt.unknown and RunBatch.objects.filter(pk=id_).exists():
            return
        with transaction.atomic():
            count = store.insert_batch(
                id_, operation.name, selection, filter=dict(filter), reason=reason, by=principal, most=MOST_RUNS
            )
            if count > MOST_RUNS:
                raise BatchTooLarge(MOST_RUNS)
            if expected is not None and count != expected:
                raise CountDiffers(expected, count)

    with in_time():
        retry.run(accept)
    log.info("batch_accepted", batch=id_, operation=operation.name, by=principal)
    return id_


def _select(operation: Operation, wanted: RunFilter) -> Selection:
    if not wanted.document():
        message = "names nothing, and would match every run: name a workflow, a status, a time or another filter"
        raise InvalidInput("The filter is empty.", faults=[Fault("filter", message)])
    return operation.select(wanted)


# --- working off ------------------------------------------------------------------------------------------


def work_off(*, seconds: float, only: str | None = None) -> int:
    """Do portions of the open batches by turns, for about `seconds`. Returns how many runs got an outcome.

    Any number of processes may call this at the same time. only: the id of one batch.
    """
    until = time.monotonic() + seconds
    done = 0
    #: the last run of each batch's last portion: see `store.lock_portion`
    reached: dict[str, str] = {}
    while True:
        before = done
        for batch in store.open_batches():
            if only is None or batch.id == only:
                done += _next_portion(batch, reached)
                if time.monotonic() >= until:
                    return done
        if done == before:
            return done


def _next_portion(batch: Batch, reached: dict[str, str]) -> int:
    """Returns how many runs got an outcome."""
    after = reached.pop(batch.id, None)
    done = _portion(batch, reached, after)
    # Behind that there was nothing more: before it there may be what another process could not do.
    return done if done or after is None else _portion(batch, reached, None)


def _portion(batch: Batch, reached: dict[str, str], after: str | None) -> int:
    known = OPERATIONS.get(batch.operation)
    if known is None:
        store.put_batch_off(batch.id, seconds=UNKNOWN_AGAIN_AFTER, why="a process of a newer release must do it")
        return 0
    taken: list[str] = []
    try:
        done = retry.run(lambda _: _do(known, batch, taken, after=after))
    except PutOff as error:
        store.put_batch_off(batch.id, seconds=error.seconds, why=error.why)
        return 0
    except Exception as error:
        if isinstance(error, ERRORS) and is_passing(error):
            raise
        log.exception("batch_portion_failed", batch=batch.id, runs=len(taken))
        done = sum(_do_one(known, batch, run_id) for run_id in taken)
    if taken:
        reached[batch.id] = taken[-1]
    if done < PORTION and store.end_batch(batch.id):
        log.info("batch_done", batch=batch.id, operation=batch.operation)
    return done


def _do(
    operation: Operation,
    batch: Batch,
    taken: list[str],
    *,
    after: str | None = None,
    only: Sequence[str] | None = None,
) -> int:
    """One portion, in one transaction. taken: is set to its runs, also if it fails."""
    with transaction.atomic():
        places = store.lock_portion(batch.id, limit=PORTION, after=after, only=only)
        taken[:] = places
        if not taken:
            return 0
        outcomes = operation.portion(batch, taken)
        store.write_outcomes(batch.id, places, outcomes)
    return len(outcomes)


def _do_one(operation: Operation, batch: Batch, run_id: str) -> int:
    """One run of a portion that failed: it is done, or that is what became of it. The others do not suffer from it."""
    try:
        return retry.run(lambda _: _do(operation, batch, [], only=[run_id]))
    except PutOff:
        return 0
    except Exception as error:
        if isinstance(error, ERRORS) and is_passing(error):
            raise
        log.exception("batch_run_failed", batch=batch.id, run_id=run_id)
        detail = said(error)

    def give_up(_: Attempt) -> int:
        with transaction.atomic():
            locked = store.lock_portion(batch.id, limit=1, only=[run_id])
            store.write_outcomes(batch.id, locked, [Outcome(each, FAILED, detail=detail) for each in locked])
        return len(locked)

    return retry.run(give_up)
