"""Rights in an emergency: asked for by one person, granted by another, for minutes."""

from typing import Any, cast

from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access import break_glass
from erip.access.break_glass import MOST_PERMISSIONS, MOST_TEXT
from erip.access.break_glass_models import MOST_MINUTES, BreakGlass
from erip.access.principals import Principal
from erip.access.scopes import Scope
from erip.foundation.http.fields import Number, StrictSerializer, Text, Whole
from erip.foundation.http.reading import principal_of, read_body, read_query

from ..responses import Answer
from ..schema import operation

NUMBER = OpenApiParameter(
    "number", {"type": "integer", "minimum": 1}, OpenApiParameter.PATH, description="The number of the request."
)
_PEOPLE = "Only for people who are signed in: no API key does this."


class AskBreakGlass(StrictSerializer):
    """What is asked for."""

    permissions = serializers.ListField(
        child=Text(max_length=200),
        min_length=1,
        max_length=MOST_PERMISSIONS,
        help_text="What you need, as docs/reference/access.md names it. None that changes who may do what.",
    )
    reason = Text(min_length=1, max_length=MOST_TEXT, help_text="Why, for whoever grants it and for the log.")
    minutes = Whole(min_value=1, max_value=MOST_MINUTES, help_text="For how long, from the moment when it is granted.")


class ReviewBreakGlass(StrictSerializer):
    """What the review says."""

    review = Text(min_length=1, max_length=MOST_TEXT, help_text="What was done under it, and whether that was right.")


class BreakGlassFilter(StrictSerializer):
    """Which page."""

    cursor = Number(required=False, min_value=1, max_value=2**63 - 1, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class BreakGlassOne(Answer):
    number = serializers.IntegerField()
    state = serializers.ChoiceField(
        ["asked", "lapsed", "withdrawn", "active", "ended", "reviewed"],
        help_text="`lapsed`: nobody granted it within the hour. `ended`: over, and waits for its review.",
    )
    asked_by = serializers.CharField()
    asked_at = serializers.DateTimeField()
    permissions = serializers.ListField(child=serializers.CharField())
    reason = serializers.CharField()
    minutes = serializers.IntegerField()
    granted_by = serializers.CharField(help_text="Empty: nobody.")
    granted_at = serializers.DateTimeField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True, help_text="When it ends by itself.")
    ended_at = serializers.DateTimeField(allow_null=True, help_text="When somebody ended it, or took it back.")
    ended_by = serializers.CharField()
    reviewed_by = serializers.CharField()
    reviewed_at = serializers.DateTimeField(allow_null=True)
    review = serializers.CharField()


class BreakGlassPage(Answer):
    items = BreakGlassOne(many=True)
    next_cursor = serializers.CharField(allow_null=True)


def shown(row: BreakGlass) -> dict[str, Any]:
    """row: of `break_glass.listed`."""
    names = (
        "permissions", "reason", "minutes", "asked_at", "granted_by", "granted_at", "ends_at", "ended_at", "ended_by",
        "reviewed_by", "reviewed_at", "review",
    )  # fmt: skip
    return {
        "number": row.pk,
        "state": break_glass.state_of(row),
        "asked_by": f"user:{row.holder.get_username()}",
        **{name: getattr(row, name) for name in names},
    }


class BreakGlasses(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["access.view_breakglass"],
        tag="access",
        id="listBreakGlass",
        summary="List emergency access",
        description="Newest first. Follow `next_cursor` until it is null.",
        parameters=[BreakGlassFilter],
        answers={200: BreakGlassPage},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, BreakGlassFilter)
        found, limit = break_glass.listed(), query["limit"]
        if "cursor" in query:
            found = found.filter(pk__lt=query["cursor"])
        rows = list(found[: limit + 1])
        more, rows = len(rows) > limit, rows[:limit]
        return Response({"items": [shown(row) for row in rows], "next_cursor": str(rows[-1].pk) if more else None})

    @operation(
        scope=Scope.VIEWER,
        permissions=["access.add_breakglass"],
        tag="access",
        id="askBreakGlass",
        summary="Ask for permissions in an emergency",
        description=f"It counts once somebody else grants it, who has an hour to do so. {_PEOPLE}",
        request=AskBreakGlass,
        examples=[
            OpenApiExample(
                "a lane has to be paused",
                value={
                    "permissions": ["workflows.add_hold"],
                    "reason": "INC-77: a feed floods the lane bulk",
                    "minutes": 30,
                },
                request_only=True,
            )
        ],
        answers={201: BreakGlassOne},
    )
    def post(self, request: Request) -> Response:
        return Response(shown(break_glass.ask(principal_of(request), **read_body(request, AskBreakGlass))), status=201)


class BreakGlassGrant(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["access.grant_breakglass"],
        tag="access",
        id="grantBreakGlass",
        summary="Grant what somebody else asked for",
        description=f"From now on, for the minutes that were asked for. Everybody on call gets a page. {_PEOPLE}",
        parameters=[NUMBER],
        answers={200: BreakGlassOne},
        problems=[409],
    )
    def post(self, request: Request, number: int) -> Response:
        return Response(shown(break_glass.grant(number, principal_of(request))))


class BreakGlassEnd(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["access.view_breakglass"],
        tag="access",
        id="endBreakGlass",
        summary="End emergency access now, or take the request back",
        description=f"Your own, or anybody's with `access.end_breakglass`. What is over stays so. {_PEOPLE}",
        parameters=[NUMBER],
        answers={200: BreakGlassOne},
    )
    def post(self, request: Request, number: int) -> Response:
        return Response(shown(break_glass.end(number, principal_of(request), cast(Principal, request.user))))


class BreakGlassReview(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["access.review_breakglass"],
        tag="access",
        id="reviewBreakGlass",
        summary="Review emergency access that is over",
        description=f"Once, by somebody who did not ask for it. {_PEOPLE}",
        parameters=[NUMBER],
        request=ReviewBreakGlass,
        answers={200: BreakGlassOne},
        problems=[409],
    )
    def post(self, request: Request, number: int) -> Response:
        text = read_body(request, ReviewBreakGlass)["review"]
        return Response(shown(break_glass.review(number, principal_of(request), text)))
