"""Event types: the registry of what events' data is like."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.foundation.http.reading import principal_of, read_body
from workflows.api.schema import operation, response_header
from workflows.events import types
from workflows.events.models import EventTypeVersion

from .. import rules as serializers

NAME = OpenApiParameter(
    "type",
    {"type": "string", "pattern": f"^{serializers.EVENT_TYPE}$"},
    OpenApiParameter.PATH,
    description="The type's name.",
)
_EXAMPLE = OpenApiExample(
    "A finding",
    value={
        "description": "A scanner found something.",
        "schema": {
            "type": "object",
            "required": ["host"],
            "additionalProperties": False,
            "properties": {"host": {"type": "string"}, "severity": {"enum": ["low", "high"]}},
        },
    },
    request_only=True,
)


def _listed(version: EventTypeVersion) -> dict[str, Any]:
    return {
        "type": version.type.name,
        "version": version.number,
        "description": version.description,
        "author": version.author,
        "created_at": version.created_at,
    }


class EventTypes(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["events.view_eventtype"],
        tag="events",
        id="listEventTypes",
        summary="List the event types that are registered",
        description="By name, each with its latest version. Events of other types are accepted too.",
        answers={200: serializers.EventTypeList},
    )
    def get(self, request: Request) -> Response:
        return Response({"items": [_listed(version) for version in types.latest()]})


class EventTypeOne(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["events.view_eventtype"],
        tag="events",
        id="getEventType",
        summary="Read an event type, with all its versions",
        parameters=[NAME],
        answers={200: serializers.EventTypeDetail},
    )
    def get(self, request: Request, type: str) -> Response:
        versions = [{**_listed(version), "schema": version.schema} for version in types.history(type)]
        return Response({**versions[0], "versions": versions})

    @operation(
        scope=Scope.AUTHOR,
        permissions=["events.add_eventtypeversion"],
        tag="events",
        id="putEventType",
        summary="Register an event type, or its next version",
        description=(
            "`schema` is the JSON Schema of the events' `data`; events of the type that it refuses are refused when "
            "they come in. A new version must accept all that the latest accepts: 409 names everything that it may "
            "not. A schema that needs more is another type. It is in force within a second."
        ),
        parameters=[NAME, response_header("Location", "Where the type is.", 200, 201)],
        request=serializers.PutEventType,
        examples=[_EXAMPLE],
        answers={200: serializers.EventTypeRegistered, 201: serializers.EventTypeRegistered},
        problems=[409],
    )
    def put(self, request: Request, type: str) -> Response:
        body = read_body(request, serializers.PutEventType)
        done = types.register(type, body["schema"], description=body["description"], author=principal_of(request))
        return Response(
            {"type": done.name, "version": done.number},
            status=201 if done.created else 200,
            headers={"Location": f"/api/v1/event-types/{done.name}"},
        )
