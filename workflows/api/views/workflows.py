"""Definitions: list, read, validate, publish."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.access.spaces import LISTS, of_caller
from erip.foundation.faults import Fault
from erip.foundation.http.parsers import (
    DefinitionSource,
    JsonDefinitionParser,
    TextYamlDefinitionParser,
    XYamlDefinitionParser,
    YamlDefinitionParser,
)
from erip.foundation.http.reading import principal_of, read_query
from workflows import engine
from workflows.errors import NameMismatch

from .. import catalog, responses
from ..schema import NAME_PARAMETER, VERSION_PARAMETER, operation, response_header
from ..serializers import WorkflowFilter

_PARSERS = [YamlDefinitionParser, XYamlDefinitionParser, TextYamlDefinitionParser, JsonDefinitionParser]
_EXAMPLE = """\
name: triage
lane: high
input: {type: object, required: [cves], properties: {cves: {type: array, items: {type: string}}}}
steps:
  enrich: {uses: nexus.enrich_threat, with: {cves: "${{ input.cves }}"}}
output: "${{ steps.enrich.output }}"
"""
_BODY = {
    "application/yaml": OpenApiTypes.STR,
    "application/json": {
        "type": "object",
        "additionalProperties": {},
        "description": "A definition; its JSON Schema is at /api/v1/schemas/workflow.",
    },
}
_EXAMPLES = [OpenApiExample("triage", value=_EXAMPLE, media_type="application/yaml", request_only=True)]


def _source(request: Request) -> DefinitionSource:
    data: Any = request.data
    # Without a body, REST framework does not ask the parser.
    return data if isinstance(data, DefinitionSource) else DefinitionSource(b"", "yaml")


def _warned(warnings: Sequence[Fault]) -> dict[str, Any]:
    return {"warnings": [{"path": one.path, "message": one.message} for one in warnings]} if warnings else {}


class WorkflowList(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowdefinition"],
        of=LISTS,
        tag="workflows",
        id="listWorkflows",
        summary="List workflows",
        description="By name, each with its latest version.",
        parameters=[WorkflowFilter],
        answers={200: responses.WorkflowPage},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, WorkflowFilter)
        spaces = of_caller(request)
        return Response(catalog.list_workflows(cursor=query.get("cursor"), limit=query["limit"], spaces=spaces))


class WorkflowOne(APIView):
    parser_classes = _PARSERS

    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowdefinition"],
        of="workflow:name",
        tag="workflows",
        id="getWorkflow",
        summary="Read a workflow",
        parameters=[NAME_PARAMETER],
        answers={200: responses.Workflow},
    )
    def get(self, request: Request, name: str) -> Response:
        return Response(catalog.workflow(name))

    @operation(
        scope=Scope.AUTHOR,
        permissions=["workflows.add_workflowversion"],
        of="workflow:name",
        tag="workflows",
        id="publishWorkflow",
        summary="Publish a definition",
        description=(
            "In YAML or JSON. Changed content becomes the next version (201); the same content as the latest "
            "version changes nothing (200). A definition with faults is refused with all of them. 409: workers of an "
            "earlier release still live that cannot read it; publish it when they are gone."
        ),
        parameters=[
            NAME_PARAMETER,
            response_header("Location", "Where the published version is.", 200, 201),
        ],
        request=_BODY,
        examples=_EXAMPLES,
        answers={200: responses.Published, 201: responses.Published},
        problems=[409],
    )
    def put(self, request: Request, name: str) -> Response:
        sent = _source(request)
        published = engine.publish(
            name, sent.source, sent.media, author=principal_of(request), spaces=of_caller(request)
        )
        return Response(
            {
                "name": published.name,
                "version": published.number,
                "hash": published.hash,
                **_warned(published.warnings),
            },
            status=201 if published.created else 200,
            headers={"Location": f"/api/v1/workflows/{published.name}/versions/{published.number}"},
        )


class WorkflowValidate(APIView):
    parser_classes = _PARSERS

    @operation(
        scope=Scope.AUTHOR,
        permissions=["workflows.add_workflowversion"],
        of="workflow:name",
        tag="workflows",
        id="validateWorkflow",
        summary="Check a definition without publishing it",
        parameters=[NAME_PARAMETER],
        request=_BODY,
        examples=_EXAMPLES,
        answers={200: responses.Validated},
        no_key="is not kept here: checking a definition makes nothing, and can be asked again",
    )
    def post(self, request: Request, name: str) -> Response:
        sent = _source(request)
        graph = engine.validate(sent.source, sent.media, spaces=of_caller(request))
        if graph.name != name:
            raise NameMismatch
        told = {"valid": True, "name": graph.name, "lane": graph.lane, "steps": list(graph.steps)}
        return Response({**told, **_warned(engine.warnings_of(graph))})


class WorkflowVersionOne(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowversion"],
        of="workflow:name",
        tag="workflows",
        id="getWorkflowVersion",
        summary="Read one version of a workflow",
        parameters=[NAME_PARAMETER, VERSION_PARAMETER],
        answers={200: responses.WorkflowVersion},
    )
    def get(self, request: Request, name: str, number: int) -> Response:
        return Response(catalog.workflow_version(name, number))
