"""The spaces of workflows and their runs: Note [Spaces] in `erip.access.spaces`."""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from erip.access.models import Space
from erip.access.spaces import kind
from erip.foundation.db.retry import retry_transaction
from erip.foundation.faults import Fault
from erip.foundation.hooks import workflow_left_space
from workflows.core.lifecycle import OWN_TYPES, source_of
from workflows.core.rules import Rule
from workflows.errors import UnknownBatch, UnknownRun, UnknownSpace, UnknownWorkflow
from workflows.models import ArchivedRun, RunBatch, WorkflowDefinition, WorkflowRun


def of_workflows(spaces: Collection[str] | None, field: str = "workflow") -> Q:
    """Rows whose column `field` names a workflow in these spaces; None: all rows."""
    if spaces is None:
        return Q()
    return Q(**{f"{field}__in": WorkflowDefinition.objects.filter(space__in=spaces).values("name")})


def workflows_in(spaces: Collection[str]) -> list[str]:
    """The names of the workflows in these spaces."""
    return list(WorkflowDefinition.objects.filter(space__in=spaces).order_by("name").values_list("name", flat=True))


def sources_in(spaces: Collection[str] | None) -> frozenset[str] | None:
    """The sources of the events that the platform announces of the workflows in these spaces; None: of all."""
    return None if spaces is None else frozenset(source_of(name) for name in workflows_in(spaces))


def spaces_of_workflows(names: Iterable[str]) -> frozenset[str]:
    """The spaces of these workflows, "" among them for those that are in none, or are not there."""
    wanted = set(names)
    found: dict[str, Any] = dict(WorkflowDefinition.objects.filter(name__in=wanted).values_list("name", "space"))
    return frozenset(found.get(name, "") for name in wanted)


def overheard(rules: Iterable[tuple[str, Rule]], spaces: Collection[str] | None) -> list[Fault]:
    """What is wrong with rules of a caller of these spaces, who would hear by them what the platform announces of
    workflows elsewhere: a run that a rule starts is given the event. rules: each with its path."""
    if spaces is None:
        return []
    heard: frozenset[str] | None = None
    faults = []
    for path, rule in rules:
        if not _may_be_ours(rule):
            continue
        heard = sources_in(spaces) or frozenset() if heard is None else heard
        if rule.source not in heard:
            at = f"{path}.source" if path else "source"
            faults.append(Fault(at, "must be the source of a workflow in your space, such as /erip/workflows/NAME"))
    return faults


def _may_be_ours(rule: Rule) -> bool:
    """Whether the platform may announce events of the rule's types. Nobody else can."""
    prefix = rule.prefix
    if prefix is None:
        return rule.event.startswith(OWN_TYPES)
    return prefix.startswith(OWN_TYPES) or any(own.startswith(prefix) for own in OWN_TYPES)


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


@kind("batch", UnknownBatch)
@retry_transaction
def of_batch(batch_id: str) -> frozenset[str] | None:
    """The spaces of all workflows whose runs it is done to. An empty batch, and one that an earlier release accepted,
    is in none: nobody knows what it was about."""
    try:
        id_ = UUID(batch_id)
    except ValueError:
        return None
    found = RunBatch.objects.filter(pk=id_).values_list("workflows", flat=True)
    names = list(found)
    return None if not names else spaces_of_workflows(names[0] or ())


@kind("space", UnknownSpace)
def itself(name: str) -> str | None:
    return name if Space.objects.filter(name=name).exists() else None


@retry_transaction
def move(workflow: str, space: str) -> list[str]:
    """Put a workflow, with all its runs, into a space; "" takes it out of its own. Whoever saw it in its former space
    does not hear of it from there on, nor does whoever sees it now hear of other spaces by it: what was ended for that
    is returned in sentences. Raises UnknownWorkflow and UnknownSpace."""
    if space and itself(space) is None:
        raise UnknownSpace
    with transaction.atomic():
        moved = WorkflowDefinition.objects.select_for_update().filter(name=workflow)
        former = moved.values_list("space", flat=True).first()
        if former is None:
            raise UnknownWorkflow
        moved.update(space=space)
        if former == space:
            return []
        return [said for end in workflow_left_space.all() for said in end(workflow, former)]
