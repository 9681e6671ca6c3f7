"""Who is on call, under /api/v1/alerts/on-call."""

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.foundation.http.fields import JsonObject, Moment, StrictSerializer, Text
from erip.foundation.http.reading import principal_of, read_body
from monitoring import oncall, store
from monitoring.core.rules import NAME
from workflows.api.schema import operation

_ID = OpenApiParameter("id", {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}, OpenApiParameter.PATH)
_ROTATION = OpenApiParameter("name", {"type": "string", "pattern": f"^{NAME}$"}, OpenApiParameter.PATH)


class OnCallNow(serializers.Serializer[Any]):
    rotation = serializers.CharField()
    person = serializers.CharField()
    instead_of = serializers.CharField(allow_null=True, help_text="Whose turn it would be; null: it is their own.")
    until = serializers.DateTimeField()
    next = serializers.CharField(help_text="Who is called as `next/ROTATION`.")


class OverrideShown(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    rotation = serializers.CharField()
    person = serializers.CharField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()


class OnCallShown(serializers.Serializer[Any]):
    plan = JsonObject(help_text="As it is put; without a plan, {}.")
    changed_at = serializers.DateTimeField(allow_null=True)
    changed_by = serializers.CharField(allow_null=True)
    now = OnCallNow(many=True)
    overrides = OverrideShown(many=True)


class PutPlan(StrictSerializer):
    plan = JsonObject(help_text="`people`, `rotations` and `ladders`.")


class ShiftShown(serializers.Serializer[Any]):
    person = serializers.CharField()
    starts = serializers.DateTimeField()
    ends = serializers.DateTimeField()
    instead_of = serializers.CharField(allow_null=True)


class ShiftList(serializers.Serializer[Any]):
    items = ShiftShown(many=True)


class NewOverride(StrictSerializer):
    rotation = Text(max_length=63)
    person = Text(max_length=63)
    starts_at = Moment()
    ends_at = Moment(help_text="366 days ahead at most.")
    reason = Text(max_length=500, required=False, default="", allow_blank=True)


class CalendarShown(serializers.Serializer[Any]):
    url = serializers.CharField(help_text="Whoever has it may read the calendar. Nobody is shown it again.")


def _shown() -> dict[str, Any]:
    now = datetime.now(UTC)
    kept = store.on_call_plan()
    return {
        "plan": kept["document"] if kept else {},
        "changed_at": kept["changed_at"] if kept else None,
        "changed_by": kept["changed_by"] if kept else None,
        "now": oncall.who(oncall.read(now), now),
        "overrides": store.overrides(),
    }


class OnCall(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["monitoring.view_oncallplan"],
        tag="monitoring",
        id="readOnCall",
        summary="Read who is on call, and the plan",
        answers={200: OnCallShown},
    )
    def get(self, request: Request) -> Response:
        return Response(OnCallShown(_shown()).data)

    @operation(
        scope=Scope.AUTHOR,
        permissions=["monitoring.change_oncallplan"],
        tag="monitoring",
        id="putOnCall",
        summary="Keep the on-call plan",
        description="In place of the one before, as a whole. Every fault is named at once.",
        request=PutPlan,
        answers={200: OnCallShown, 201: OnCallShown},
    )
    def put(self, request: Request) -> Response:
        new = oncall.put_plan(read_body(request, PutPlan)["plan"], by=principal_of(request))
        return Response(OnCallShown(_shown()).data, status=201 if new else 200)


class Rotation(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["monitoring.view_oncallplan"],
        tag="monitoring",
        id="listShifts",
        summary="List the shifts of a rotation",
        description="From 30 days ago to 180 days ahead, without gaps.",
        parameters=[_ROTATION],
        answers={200: ShiftList},
    )
    def get(self, request: Request, name: str) -> Response:
        now = datetime.now(UTC)
        return Response(
            {"items": ShiftShown(oncall.listed(oncall.read(now - oncall.BEFORE), name, now), many=True).data}
        )


class RotationCalendar(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["monitoring.share_oncallcalendar"],
        tag="monitoring",
        id="makeOnCallCalendar",
        summary="Make the secret address of a rotation's calendar",
        description="iCalendar (RFC 5545), for programs that send no key. The address before leads nowhere then.",
        parameters=[_ROTATION],
        answers={201: CalendarShown},
        no_key="is not kept here: an answer that is kept would keep a secret",
    )
    def post(self, request: Request, name: str) -> Response:
        read_body(request, StrictSerializer, optional=True)
        return Response({"url": oncall.make_calendar(name, by=principal_of(request))}, status=201)


class Overrides(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["monitoring.add_oncalloverride"],
        tag="monitoring",
        id="addOnCallOverride",
        summary="Have somebody else be on call for a while",
        description="Where several cover a moment, the one that was added last counts.",
        request=NewOverride,
        answers={201: OverrideShown},
    )
    def post(self, request: Request) -> Response:
        body = read_body(request, NewOverride)
        made = oncall.add_override(
            rotation=body["rotation"],
            person=body["person"],
            starts=body["starts_at"],
            ends=body["ends_at"],
            reason=body["reason"],
            by=principal_of(request),
            now=datetime.now(UTC),
        )
        return Response(OverrideShown(made).data, status=201)


class OverrideOne(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["monitoring.change_oncalloverride"],
        tag="monitoring",
        id="endOnCallOverride",
        summary="End an override now",
        parameters=[_ID],
        answers={204: None},
    )
    def delete(self, request: Request, id: int) -> Response:
        oncall.end_override(id)
        return Response(status=204)
