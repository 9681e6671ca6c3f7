"""GET /api/v1/scaling: what was scaled, and why."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.foundation.http.fields import Number, StrictSerializer
from erip.foundation.http.reading import read_query
from monitoring.scaling.models import ScalingEvent
from workflows.api.schema import operation


class ScalingFilter(StrictSerializer):
    """The page of the list of changes."""

    target = serializers.CharField(required=False, max_length=200)
    cursor = Number(required=False, min_value=1, max_value=2**63 - 1, help_text="`next_cursor`.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class ScalingChange(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    target = serializers.CharField(help_text="What was scaled.")
    direction = serializers.ChoiceField(choices=["up", "down"])
    before = serializers.IntegerField()
    after = serializers.IntegerField()
    emergency = serializers.BooleanField(help_text="For critical work, in spite of the cooldown.")
    reason = serializers.CharField()
    measures = serializers.JSONField(help_text="What was measured.")
    error = serializers.CharField(help_text="Why it could not be carried out; empty if it was.")


class ScalingPage(serializers.Serializer[Any]):
    items = ScalingChange(many=True)
    next_cursor = serializers.IntegerField(allow_null=True)


_FIELDS = ["id", "at", "target", "direction", "before", "after", "emergency", "reason", "measures", "error"]


class ScalingList(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["autoscale.view_scalingevent"],
        tag="scaling",
        id="listScaling",
        summary="List the changes of the number of workers",
        description="Newest first. Follow `next_cursor` until it is null.",
        parameters=[ScalingFilter],
        answers={200: ScalingPage},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, ScalingFilter)
        found = ScalingEvent.objects.order_by("-id")
        if "target" in query:
            found = found.filter(target=query["target"])
        if "cursor" in query:
            found = found.filter(id__lt=query["cursor"])
        rows = list(found.values(*_FIELDS)[: query["limit"] + 1])
        items = rows[: query["limit"]]
        return Response({"items": items, "next_cursor": items[-1]["id"] if len(rows) > len(items) else None})
