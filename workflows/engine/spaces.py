"""The spaces of workflows and their runs: Note [Spaces] in `erip.access.spaces`."""

from uuid import UUID

from erip.access.models import Space
from erip.access.spaces import kind
from erip.foundation.db.retry import retry_transaction
from workflows.errors import UnknownRun, UnknownSpace, UnknownWorkflow
from workflows.models import ArchivedRun, WorkflowDefinition, WorkflowRun


@kind("workflow", UnknownWorkflow)
@retry_transaction
def of_workflow(name: str) -> str | None:
    found: str | None = WorkflowDefinition.objects.filter(name=name).values_list("space", flat=True).first()
    return found


@kind("run", UnknownRun)
@retry_transaction
def of_run(run_id: str) -> str | None:
    try:
        id_ = UUID(run_id)
    except ValueError:
        return None
    for kept in (WorkflowRun, ArchivedRun):
        workflow = kept.objects.filter(pk=id_).values_list("workflow", flat=True).first()
        if workflow is not None:
            return of_workflow(workflow) or ""
    return None


@kind("space", UnknownSpace)
def itself(name: str) -> str | None:
    return name if Space.objects.filter(name=name).exists() else None


@retry_transaction
def move(workflow: str, space: str) -> None:
    """Put a workflow, with all its runs, into a space; "" takes it out of its own. Raises UnknownWorkflow and
    UnknownSpace."""
    if space and itself(space) is None:
        raise UnknownSpace
    if not WorkflowDefinition.objects.filter(name=workflow).update(space=space):
        raise UnknownWorkflow
