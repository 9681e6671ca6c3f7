"""A run by its id, and what an attempt whose answer was lost has done to it."""

from typing import Any
from uuid import UUID

from erip.audit.operation import describe
from workflows import store
from workflows.core.machine import Happening
from workflows.errors import UnknownRun
from workflows.graphs import graph_of
from workflows.models import ArchivedRun, RunEvent, WorkflowRun, find_run
from workflows.store import Report


def report_of_person(run_id: str, happening: Happening) -> store.Applied:
    """Apply what a person did to a run. Needs a transaction. Raises UnknownRun."""
    describe(before={"state": run_of(run_id).state})
    return store.apply([Report(str(UUID(run_id)), happening)], graph_of=graph_of)


def recorded(run_id: str, event: str, principal: str, **more: Any) -> bool:
    """Whether an attempt whose answer was lost has recorded this."""
    return RunEvent.objects.filter(run=UUID(run_id), type=event, detail__by=principal, **more).exists()


def run_of(run_id: str) -> WorkflowRun | ArchivedRun:
    """The run, wherever it is kept. Raises UnknownRun."""
    try:
        run = find_run(UUID(str(run_id)))
    except ValueError:
        run = None
    if run is None:
        raise UnknownRun
    return run
