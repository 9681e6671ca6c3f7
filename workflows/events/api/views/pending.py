"""Pending starts: runs that events are gathered for. List them, start one now, discard one."""

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.access.spaces import LISTS, of_caller
from erip.foundation.http.fields import StrictSerializer, Text
from erip.foundation.http.reading import principal_of, read_query
from workflows.api.schema import operation
from workflows.events import pending

from .. import rules as serializers

_ID = OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The pending start's id.")


class PendingFilter(StrictSerializer):
    workflow = Text(required=False, min_length=1, max_length=63, help_text="Only those of this workflow.")


class PendingStarts(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["events.view_pendingstart"],
        of=LISTS,
        tag="events",
        id="listPendingStarts",
        summary="List the runs that events are gathered for",
        description="Those that are due first come first (docs/reference/triggers.md).",
        parameters=[PendingFilter],
        answers={200: serializers.PendingStartList},
    )
    def get(self, request: Request) -> Response:
        query: dict[str, Any] = read_query(request, PendingFilter)
        items, count = pending.listed(query.get("workflow"), spaces=of_caller(request))
        return Response({"items": items, "count": count})


class PendingStartOne(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["events.view_pendingstart"],
        of="pending-start:id",
        tag="events",
        id="getPendingStart",
        summary="Read a pending start, with the places of its events",
        parameters=[_ID],
        answers={200: serializers.PendingStartDetail},
    )
    def get(self, request: Request, id: UUID) -> Response:
        return Response(pending.detail(str(id)))


class PendingStartNow(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.change_pendingstart"],
        of="pending-start:id",
        tag="events",
        id="startPendingStart",
        summary="Start its run now, with the events so far",
        parameters=[_ID],
        answers={200: serializers.PendingStartStarted},
        problems=[409],
    )
    def post(self, request: Request, id: UUID) -> Response:
        return Response({"run_id": pending.start(str(id))})


class PendingStartDiscard(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.change_pendingstart"],
        of="pending-start:id",
        tag="events",
        id="discardPendingStart",
        summary="Discard it: no run is started",
        description="Its events become dead letters that you have discarded, so that they can still be seen.",
        parameters=[_ID],
        answers={200: serializers.PendingStartDiscarded},
        problems=[409],
    )
    def post(self, request: Request, id: UUID) -> Response:
        return Response({"events": pending.discard(str(id), by=principal_of(request))})
