"""Steps of a run: list the items of a step, and record what a person knows about a step whose outcome was lost."""

from uuid import UUID

from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.foundation.http.reading import principal_of, read_body, read_query
from workflows import engine, queries

from .. import responses
from ..schema import RUN_PARAMETER, STEP_PARAMETER, operation
from ..serializers import ItemFilter, ResolveStep


class StepItems(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowrun"],
        of="run:id",
        tag="runs",
        id="listStepItems",
        summary="List the items of a step with foreach",
        description="In the order of the list. Follow `next_cursor` until it is null.",
        parameters=[RUN_PARAMETER, STEP_PARAMETER, ItemFilter],
        answers={200: responses.StepItemPage},
    )
    def get(self, request: Request, id: UUID, step: str) -> Response:
        page = queries.list_items(str(id), step, **read_query(request, ItemFilter))
        return Response({"items": page.items, "next_cursor": page.next_cursor})


class StepResolve(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.resolve_step"],
        of="run:id",
        tag="runs",
        id="resolveStep",
        summary="Say what became of a step whose outcome is unknown",
        description=(
            "A step that may not be repeated becomes UNKNOWN when its worker is lost. Look at what it did, "
            "then say: it succeeded (with its output), it failed, or it can be run again. The output must be one that "
            "the step could have returned; all that is wrong with it is answered at once (422)."
        ),
        parameters=[RUN_PARAMETER, STEP_PARAMETER],
        request=ResolveStep,
        examples=[
            OpenApiExample("It was sent", value={"outcome": "succeeded", "output": {"sent": True}}, request_only=True)
        ],
        answers={204: None},
        problems=[409],
    )
    def post(self, request: Request, id: UUID, step: str) -> Response:
        body = read_body(request, ResolveStep)
        engine.resolve_step(
            str(id),
            step,
            item=body.get("item"),
            outcome=body["outcome"],
            output=body.get("output"),
            principal=principal_of(request),
            note=body["note"],
        )
        return Response(status=204)
