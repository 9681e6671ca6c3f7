"""What people do to runs: cancel, and say how a step ended."""

from typing import Any

from django.db import transaction

from erip.foundation.db import retry
from erip.foundation.db.retry import Attempt
from erip.foundation.faults import Fault
from workflows.core import machine
from workflows.core.machine import RunCancelled, StepResolved
from workflows.engine.finding import recorded, report_of_person
from workflows.errors import InvalidInput, RunAlreadyEnded, StepNotUnknown
from workflows.starts import dispatch


def cancel_run(run_id: str, *, principal: str, reason: str = "") -> None:
    """End a run as CANCELLED. A step that runs right now is not interrupted; its result no longer counts, unless it is
    declared not idempotent: then it is still recorded. Raises UnknownRun, RunAlreadyEnded."""

    def cancel(attempt: Attempt) -> None:
        with transaction.atomic():
            applied = report_of_person(run_id, RunCancelled(principal, reason))
            if applied.discarded and not (attempt.unknown and recorded(run_id, "run.cancelled", principal)):
                raise RunAlreadyEnded
            dispatch.hint_after_commit(applied.hints)

    retry.run(cancel)


def resolve_step(
    run_id: str,
    step: str,
    *,
    outcome: str,
    principal: str,
    item: int | None = None,
    output: Any = None,
    note: str = "",
) -> None:
    """Say how an UNKNOWN step ended: outcome is "succeeded" (with its output), "failed" or "retry".

    Raises UnknownRun, StepNotUnknown, InvalidInput.
    """
    if outcome not in ("succeeded", "failed", "retry"):
        raise InvalidInput(faults=[Fault("outcome", 'must be "succeeded", "failed" or "retry"')])
    key = machine.NO_ITEM if item is None else item

    def resolve(attempt: Attempt) -> None:
        with transaction.atomic():
            applied = report_of_person(run_id, StepResolved(step, outcome, output, principal, note, key))
            done_before = attempt.unknown and recorded(
                run_id, "step.resolved", principal, step=step, item=key, detail__outcome=outcome
            )
            if applied.discarded and not done_before:
                raise StepNotUnknown
            dispatch.hint_after_commit(applied.hints)

    retry.run(resolve)
