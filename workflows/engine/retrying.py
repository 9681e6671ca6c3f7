"""Run an ended run again, once: with the same input, or with one that a person has corrected."""

from functools import partial
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from erip.audit.operation import describe
from erip.foundation.db import retry
from erip.foundation.db.retry import Attempt
from erip.foundation.ids import new_run_id
from workflows import store
from workflows.core.states import RunState
from workflows.engine.finding import run_of
from workflows.engine.starting import StartedRun, StartRequest, accepted, check_inputs, new_run, started_run
from workflows.errors import RunAlreadyRetried, RunNotEnded
from workflows.graphs import graph_of
from workflows.models import ArchivedRun, WorkflowRun, retried_as
from workflows.privacy import sealing
from workflows.starts import admission, dispatch, holds, precedence


def retry_run(run_id: str, *, principal: str, input: dict[str, Any] | None = None) -> StartedRun:
    """Start a new run with the version, lane and business key of one that has ended, and with its input.

    input: in place of the run's own. A run is retried once: who wants another retry retries the retry.
    Raises UnknownRun, RunNotEnded, RunAlreadyRetried, InvalidInput, LaneFull, DataErased.
    """
    run = retry.run(lambda _: run_of(run_id))
    if not RunState(run.state).ended:
        raise RunNotEnded
    if before := retry.run(lambda _: retried_as(run.pk)):
        raise RunAlreadyRetried(str(before))
    graph = graph_of(run.version_id)
    if input is None:
        input = sealing.opened(run.workflow, run.input) if graph.sensitive else run.input
    request = StartRequest(input, run.business_key, run.lane)
    with precedence.starting(run.lane) as own:
        check_inputs(graph, [request], False, own)
        retry.run(lambda _: admission.admit([run.lane]))
        return retry.run(partial(_retry, run, request, principal, new_run_id()))


def _retry(
    run: WorkflowRun | ArchivedRun, request: StartRequest, principal: str, new_id: str, attempt: Attempt
) -> StartedRun:
    if attempt.unknown and (found := accepted(new_id)):
        return found
    try:
        with transaction.atomic():
            now = store.clock()
            new = new_run(graph_of(run.version_id), run.version_id, request, now, principal, run_id=new_id)
            if not store.add_retries([(str(run.pk), new_id)], by=principal):
                # It may have been this retry's own attempt, whose answer was lost.
                if str(before := retried_as(run.pk)) == str(UUID(new_id)) and (found := accepted(new_id)):
                    return found
                raise RunAlreadyRetried(str(before))
            describe(before={"state": run.state, "retried_as": None}, after={"retried_as": new_id})
            dispatch.hint_after_commit(holds.insert_runs([new]))
    except IntegrityError:
        # The lost attempt was committed after we looked.
        if attempt.unknown and (found := accepted(new_id)):
            return found
        raise
    return started_run(new, run.version.number)
