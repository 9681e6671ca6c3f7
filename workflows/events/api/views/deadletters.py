"""Dead letters: list them, retry them, give them up."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.access.spaces import LISTS, of_caller
from erip.foundation.http.reading import principal_of, read_query
from workflows.api.schema import operation
from workflows.events import letters, queries

from .. import serializers

_ID = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH, description="The dead letter's id.")


class DeadLetters(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["events.view_deadletter"],
        of=LISTS,
        tag="events",
        id="listDeadLetters",
        summary="List events that could not take effect",
        description="Newest first. Follow `next_cursor` until it is null.",
        parameters=[serializers.DeadLetterFilter],
        answers={200: serializers.DeadLetterPage},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, serializers.DeadLetterFilter)
        page = queries.list_dead_letters(**query, spaces=of_caller(request))
        return Response({"items": page.items, "next_cursor": page.next_cursor})


class DeadLetterOne(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["events.view_deadletter"],
        of="dead-letter:id",
        tag="events",
        id="getDeadLetter",
        summary="Read a dead letter",
        parameters=[_ID],
        answers={200: serializers.DeadLetter},
    )
    def get(self, request: Request, id: int) -> Response:
        return Response(queries.dead_letter(id))


class DeadLetterRetry(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.change_deadletter"],
        of="dead-letter:id",
        tag="events",
        id="retryDeadLetter",
        summary="Try a dead letter again",
        description="What failed is done again, and nothing else. If it fails again there is a new dead letter.",
        parameters=[_ID],
        answers={202: serializers.DeadLetter},
        problems=[409],
    )
    def post(self, request: Request, id: int) -> Response:
        letters.retry(id, by=principal_of(request))
        return Response(queries.dead_letter(id), status=202)


class DeadLetterDiscard(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.change_deadletter"],
        of="dead-letter:id",
        tag="events",
        id="discardDeadLetter",
        summary="Give a dead letter up",
        parameters=[_ID],
        answers={200: serializers.DeadLetter},
        problems=[409],
    )
    def post(self, request: Request, id: int) -> Response:
        letters.discard(id, by=principal_of(request))
        return Response(queries.dead_letter(id))
