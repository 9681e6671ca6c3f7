"""What people do to runs: cancel, and say how a step ended."""

from typing import Any

from django.db import transaction

from erip.audit.operation import describe
from erip.foundation.db import retry
from erip.foundation.db.retry import Attempt
from erip.foundation.faults import Fault
from workflows import registry
from workflows.core import machine, sensitive
from workflows.core.machine import RunCancelled, StepResolved
from workflows.core.outputs import conform
from workflows.core.states import RunState, StepState
from workflows.engine.finding import recorded, report_of_person, run_of
from workflows.errors import InvalidInput, RunAlreadyEnded, StepNotUnknown
from workflows.graphs import graph_of
from workflows.models import ArchivedRun, WorkflowRun
from workflows.privacy import sealing
from workflows.starts import dispatch


def cancel_run(run_id: str, *, principal: str, reason: str = "") -> None:
    """End a run as CANCELLED. A step that runs right now is not interrupted; its result no longer counts, unless it is
    declared not idempotent: then it is still recorded. Raises UnknownRun, RunAlreadyEnded."""

    def cancel(attempt: Attempt) -> None:
        with transaction.atomic():
            applied = report_of_person(run_id, RunCancelled(principal, reason))
            if applied.discarded and not (attempt.unknown and recorded(run_id, "run.cancelled", principal)):
                raise RunAlreadyEnded
            describe(after={"state": RunState.CANCELLED})
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

    The output is checked against the model of what the step returns, if this process has the step, and is recorded as
    the step would have returned it. Raises UnknownRun, StepNotUnknown, InvalidInput (every fault, under `output`).
    """
    if outcome not in ("succeeded", "failed", "retry"):
        raise InvalidInput(faults=[Fault("outcome", 'must be "succeeded", "failed" or "retry"')])
    key = machine.NO_ITEM if item is None else item
    if outcome == "succeeded":
        given = output
        output = retry.run(lambda _: _as_returned(run_of(run_id), step, key, given))

    def resolve(attempt: Attempt) -> None:
        with transaction.atomic():
            applied = report_of_person(run_id, StepResolved(step, outcome, output, principal, note, key))
            done_before = attempt.unknown and recorded(
                run_id, "step.resolved", principal, step=step, item=key, detail__outcome=outcome
            )
            if applied.discarded and not done_before:
                raise StepNotUnknown
            of = {"step": step} if item is None else {"step": step, "item": item}
            describe(before={**of, "state": StepState.UNKNOWN}, after={**of, "resolved": outcome})
            if outcome == "succeeded" and not applied.discarded:
                _record_along(run_of(run_id), step, key, output)
            dispatch.hint_after_commit(applied.hints)

    retry.run(resolve)


def _record_along(run: WorkflowRun | ArchivedRun, step: str, item: int, output: Any) -> None:
    """Write what is written with a result of this step (`registry.when_recorded`), whoever gave the result."""
    node = graph_of(run.version_id).steps.get(step)
    write = None if node is None or node.work is None else registry.recorder(node.work.uses)
    if write is not None:
        write([registry.Recorded(str(run.pk), step, item, output)])


def _as_returned(run: WorkflowRun | ArchivedRun, step: str, item: int, output: Any) -> Any:
    """The output of an UNKNOWN step as its body would have returned it. Raises InvalidInput."""
    node = graph_of(run.version_id).steps.get(step)
    if node is None or node.work is None or (spec := registry.all().get(node.work.uses)) is None:
        return output
    if not run.steps.filter(step=step, item=item, state=StepState.UNKNOWN).exists():
        return output  # there is nothing to resolve, and that is what the caller should hear
    returned, faults = conform(spec.output_model, output)
    if faults:
        raise InvalidInput(faults=faults)
    if spec.sealed:
        # As the worker seals what the body returns.
        return sensitive.change(spec.sealed, returned, sealing.sealer(run.workflow, str(run.pk)))
    return returned
