"""Workflows, stored triggers and event types."""

from collections.abc import Mapping
from datetime import datetime

from erip_client.models import (
    EventTypeDetail,
    EventTypeListed,
    EventTypeRegistered,
    Listing,
    Page,
    Published,
    RunsWhatIf,
    StepType,
    Trigger,
    TriggerDetail,
    TriggerStored,
    Validated,
    Workflow,
    WorkflowListed,
    WorkflowVersion,
)
from erip_client.models.base import Json

from .base import JSON, Call, given, moment, to_json

YAML = "application/yaml"


def list_workflows(*, cursor: str | None = None, limit: int | None = None) -> Call[Page[WorkflowListed]]:
    """A page of workflows by name, each with its latest version."""
    return Call(
        operation="listWorkflows",
        method="GET",
        template="/api/v1/workflows",
        query=given(cursor=cursor, limit=limit),
        answers={200: Page[WorkflowListed]},
    )


def get_workflow(name: str) -> Call[Workflow]:
    """A workflow with its versions."""
    return Call(
        operation="getWorkflow",
        method="GET",
        template="/api/v1/workflows/{name}",
        path={"name": name},
        answers={200: Workflow},
    )


def get_workflow_version(name: str, number: int) -> Call[WorkflowVersion]:
    """One version of a workflow, with its source."""
    return Call(
        operation="getWorkflowVersion",
        method="GET",
        template="/api/v1/workflows/{name}/versions/{number}",
        path={"name": name, "number": number},
        answers={200: WorkflowVersion},
    )


def publish_workflow(name: str, definition: str | bytes | Mapping[str, Json]) -> Call[Published]:
    """Publish a definition: YAML, or an object. The same content as the latest version changes nothing."""
    content, media = _definition(definition)
    return Call(
        operation="publishWorkflow",
        method="PUT",
        template="/api/v1/workflows/{name}",
        path={"name": name},
        content=content,
        media=media,
        answers={200: Published, 201: Published},
    )


def validate_workflow(name: str, definition: str | bytes | Mapping[str, Json]) -> Call[Validated]:
    """Check a definition without publishing it."""
    content, media = _definition(definition)
    return Call(
        operation="validateWorkflow",
        method="POST",
        template="/api/v1/workflows/{name}/validate",
        path={"name": name},
        content=content,
        media=media,
        answers={200: Validated},
        safe=True,
    )


def what_if_workflow(
    name: str,
    definition: Mapping[str, Json] | None = None,
    *,
    source: str | None = None,
    version: int | None = None,
    against: str | None = None,
    since: datetime | str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[RunsWhatIf]:
    """Which runs another definition, or another version, would have made others. Stores nothing.

    definition: an object; source: YAML; version: a stored one: give one of them.
    against: past (the default), waiting or all.
    """
    body = given(
        definition=definition,
        source=source,
        version=version,
        against=against,
        since=moment(since),
        limit=limit,
        cursor=cursor,
    )
    return Call(
        operation="whatIfWorkflow",
        method="POST",
        template="/api/v1/workflows/{name}/what-if",
        path={"name": name},
        content=to_json(body),
        answers={200: RunsWhatIf},
        safe=True,
    )


def list_step_types() -> Call[Listing[StepType]]:
    """The steps that definitions can use."""
    return Call(
        operation="listStepTypes", method="GET", template="/api/v1/schemas/steps", answers={200: Listing[StepType]}
    )


def get_workflow_schema() -> Call[dict[str, Json]]:
    """The JSON Schema of definitions."""
    return Call(
        operation="getWorkflowSchema",
        method="GET",
        template="/api/v1/schemas/workflow",
        answers={200: dict[str, Json]},
    )


def list_triggers() -> Call[Listing[Trigger]]:
    """All stored triggers."""
    return Call(operation="listTriggers", method="GET", template="/api/v1/triggers", answers={200: Listing[Trigger]})


def get_trigger(name: str) -> Call[TriggerDetail]:
    """A stored trigger with its versions."""
    return Call(
        operation="getTrigger",
        method="GET",
        template="/api/v1/triggers/{name}",
        path={"name": name},
        answers={200: TriggerDetail},
    )


def put_trigger(
    name: str, workflow: str, rule: Mapping[str, Json], *, enabled: bool = True, description: str = ""
) -> Call[TriggerStored]:
    """Store a trigger, or its next version."""
    body = {"workflow": workflow, "rule": rule, "enabled": enabled, "description": description}
    return Call(
        operation="putTrigger",
        method="PUT",
        template="/api/v1/triggers/{name}",
        path={"name": name},
        content=to_json(body),
        answers={200: TriggerStored, 201: TriggerStored},
    )


def delete_trigger(name: str) -> Call[None]:
    """The trigger no longer applies; its versions are kept."""
    return Call(
        operation="deleteTrigger",
        method="DELETE",
        template="/api/v1/triggers/{name}",
        path={"name": name},
        answers={204: None},
    )


def list_event_types() -> Call[Listing[EventTypeListed]]:
    """The latest version of each event type."""
    return Call(
        operation="listEventTypes",
        method="GET",
        template="/api/v1/event-types",
        answers={200: Listing[EventTypeListed]},
    )


def get_event_type(type: str) -> Call[EventTypeDetail]:
    """An event type with all its versions."""
    return Call(
        operation="getEventType",
        method="GET",
        template="/api/v1/event-types/{type}",
        path={"type": type},
        answers={200: EventTypeDetail},
    )


def put_event_type(type: str, schema: Mapping[str, Json], *, description: str = "") -> Call[EventTypeRegistered]:
    """Register an event type, or its next version, which must accept all that the one before accepts."""
    return Call(
        operation="putEventType",
        method="PUT",
        template="/api/v1/event-types/{type}",
        path={"type": type},
        content=to_json({"schema": schema, "description": description}),
        answers={200: EventTypeRegistered, 201: EventTypeRegistered},
    )


def _definition(definition: str | bytes | Mapping[str, Json]) -> tuple[bytes, str]:
    if isinstance(definition, Mapping):
        return to_json(definition), JSON
    return definition.encode() if isinstance(definition, str) else definition, YAML
