"""What authors need: the JSON Schema of definitions, and the steps that there are to use."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from workflows import registry
from workflows.core import definition

from .. import responses
from ..schema import operation


class WorkflowSchema(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowdefinition"],
        tag="schemas",
        id="getWorkflowSchema",
        summary="The JSON Schema of definitions",
        answers={200: {"type": "object", "additionalProperties": {}}},
    )
    def get(self, request: Request) -> Response:
        return Response(definition.schema())


class StepTypes(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowdefinition"],
        tag="schemas",
        id="listStepTypes",
        summary="The steps that definitions can use, with the schemas of their input and output",
        answers={200: responses.StepTypeList},
    )
    def get(self, request: Request) -> Response:
        found = sorted(registry.all().values(), key=lambda spec: spec.name)
        items = [
            {
                "name": spec.name,
                "summary": spec.summary,
                "timeout": spec.timeout,
                "idempotent": spec.idempotent,
                "transactional": spec.transactional,
                "input": spec.input_schema,
                "output": spec.output_schema,
            }
            for spec in found
        ]
        return Response({"items": items})
