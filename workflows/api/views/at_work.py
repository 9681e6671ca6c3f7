"""What runs where, and which steps wait for a person."""

from typing import Final

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.access.spaces import LISTS, of_caller
from erip.foundation.http.reading import read_query
from workflows import at_work

from .. import responses
from ..schema import operation
from ..serializers import UnknownFilter

#: steps of each worker that are named
SHOWN: Final = 20


class Workers(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_worker", "workflows.view_workflowrun"],
        tag="runs",
        id="listWorkers",
        summary="What runs where",
        description=(
            "The workers that have not stopped, by name, with what each runs now. In one piece: at most "
            f"{at_work.MAX_WORKERS:,}."
        ),
        answers={200: responses.WorkerList},
    )
    def get(self, request: Request) -> Response:
        return Response({"items": at_work.list_workers(shown=SHOWN)})


class UnknownSteps(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowrun"],
        of=LISTS,
        tag="runs",
        id="listUnknownSteps",
        summary="List the steps that wait for a person to say how they ended",
        description=(
            "A step that may not be repeated becomes UNKNOWN when its worker is lost or its time is over. Those of the "
            "oldest run come first. Follow `next_cursor` until it is null."
        ),
        parameters=[UnknownFilter],
        answers={200: responses.UnknownStepPage},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, UnknownFilter)
        page = at_work.list_unknown(**{"cursor": None, **query}, spaces=of_caller(request))
        return Response({"items": page.items, "next_cursor": page.next_cursor})
