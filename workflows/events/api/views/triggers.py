"""Triggers: rules that start runs on events, kept beside the definitions' own."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.access.spaces import LISTS, need, of_caller
from erip.foundation.db import walls
from erip.foundation.http.reading import principal_of, read_body
from workflows.api.schema import RUN_PARAMETER, operation, response_header
from workflows.events import active, links, stored
from workflows.events.models import TriggerVersion

from .. import rules as serializers

NAME = OpenApiParameter(
    "name",
    {"type": "string", "pattern": f"^{serializers.TRIGGER}$"},
    OpenApiParameter.PATH,
    description="The trigger's name.",
)
_EXAMPLE = OpenApiExample(
    "Critical threats from one feed",
    value={
        "workflow": "critical-threat",
        "rule": {
            "event": "nexus.threat.*",
            "source": "https://feeds.example/*",
            "if": "event.data.severity == 'critical'",
            "input": {"threat_id": "${{ event.id }}", "severity": "critical"},
            "business_key": "${{ event.subject }}",
            "dedupe": "10m",
        },
    },
    request_only=True,
)


def _says(version: TriggerVersion) -> dict[str, Any]:
    return {
        "name": version.trigger.name,
        "version": version.number,
        "workflow": version.workflow,
        "rule": version.rule,
        "enabled": version.enabled,
        "deleted": version.deleted,
        "description": version.description,
        "author": version.author,
        "created_at": version.created_at,
    }


def _left_out() -> Mapping[str, str]:
    """Rules that are not used, and why; this is remembered for all callers."""
    with walls.lifted():
        return active.active().left_out


def _problem(version: TriggerVersion, left_out: Mapping[str, str]) -> str | None:
    """Why the rule is not used although it is enabled."""
    return left_out.get(active.trigger(version.trigger.name)) or left_out.get(f"workflow {version.workflow}")


class Triggers(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["events.view_trigger"],
        of=LISTS,
        tag="events",
        id="listTriggers",
        summary="List stored triggers",
        description="By name, which is also the order in which those of one workflow are asked.",
        answers={200: serializers.TriggerList},
    )
    def get(self, request: Request) -> Response:
        left_out = _left_out()
        items = [
            {**_says(version), "problem": _problem(version, left_out)} for version in stored.stored(of_caller(request))
        ]
        return Response({"items": items})


class TriggerOne(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["events.view_trigger"],
        of="trigger:name",
        tag="events",
        id="getTrigger",
        summary="Read a trigger, and what it said before",
        parameters=[NAME],
        answers={200: serializers.TriggerDetail},
    )
    def get(self, request: Request, name: str) -> Response:
        latest = stored.history(name, of_caller(request))
        versions = [_says(version) for version in latest]
        problem = _problem(latest[0], _left_out())
        return Response({**versions[0], "problem": problem, "versions": versions})

    @operation(
        scope=Scope.AUTHOR,
        permissions=["events.add_triggerversion"],
        of="trigger:name",
        tag="events",
        id="putTrigger",
        summary="Store a trigger",
        description=(
            "The rule has the format of a definition's `on` (docs/reference/definitions.md). It is asked before the "
            "rules of the workflow's own definition. A change becomes the next version; the same again changes "
            "nothing. It is in force within a second."
        ),
        parameters=[NAME, response_header("Location", "Where the trigger is.", 200, 201)],
        request=serializers.PutTrigger,
        examples=[_EXAMPLE],
        answers={200: serializers.TriggerStored, 201: serializers.TriggerStored},
    )
    def put(self, request: Request, name: str) -> Response:
        body = read_body(request, serializers.PutTrigger)
        need("workflow", body["workflow"], of_caller(request))
        done = stored.put(name, **body, author=principal_of(request), spaces=of_caller(request))
        return Response(
            {"name": done.name, "version": done.number, "changed": done.changed},
            status=201 if done.created else 200,
            headers={"Location": f"/api/v1/triggers/{done.name}"},
        )

    @operation(
        scope=Scope.AUTHOR,
        permissions=["events.add_triggerversion"],
        of="trigger:name",
        tag="events",
        id="deleteTrigger",
        summary="Delete a trigger",
        description="It is in force no more within a second. Its versions are kept.",
        parameters=[NAME],
        answers={204: None},
    )
    def delete(self, request: Request, name: str) -> Response:
        stored.delete(name, author=principal_of(request))
        return Response(status=204)


class RunEvent(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowrun", "events.view_logentry"],
        of="run:id",
        tag="events",
        id="getRunEvent",
        summary="Which event started a run",
        description="404 for a run that no event started.",
        parameters=[RUN_PARAMETER],
        answers={200: serializers.StartedByEvent},
    )
    def get(self, request: Request, id: UUID) -> Response:
        return Response(links.event_of(str(id)))
