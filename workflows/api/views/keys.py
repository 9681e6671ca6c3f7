"""API keys: who has which, with what limits; made, changed, rotated and revoked."""

from typing import Any, cast

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access import changing
from erip.access.keys import NewKey
from erip.access.models import MOST_RATE, ApiKey
from erip.access.networks import MOST
from erip.access.principals import Principal
from erip.access.scopes import Scope
from erip.foundation.http.fields import Choice, Moment, Number, StrictSerializer, Text, Whole
from erip.foundation.http.reading import principal_of, read_body, read_query

from ..responses import Answer
from ..schema import operation, response_header

NUMBER = OpenApiParameter(
    "number", {"type": "integer", "minimum": 1}, OpenApiParameter.PATH, description="The key's number."
)
_SECRET = "is not kept here: an answer that is kept would keep a secret"  # noqa: S105  (why)
_EXPIRES = "When it ends by itself; null: never."
_SOURCES = "Sources of events that it may send: a source, or the beginning of one and *."
_TYPES = "Types of events that it may send: a type, or the beginning of one and *."
_NETWORKS = "Addresses and networks from which it opens something; empty: from anywhere."
_RATE = "Requests a minute that each web process takes from it; null: as many as come."


def _texts(longest: int, most: int, about: str) -> serializers.ListField:
    return serializers.ListField(child=Text(max_length=longest), max_length=most, required=False, help_text=about)


class KeyFilter(StrictSerializer):
    """Which keys."""

    owner = Text(required=False, max_length=150, help_text="A username; only this person's keys.")
    cursor = Number(required=False, min_value=1, max_value=2**63 - 1, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class MakeKey(StrictSerializer):
    """A key that is to be made."""

    name = Text(min_length=1, max_length=100, help_text="Who or what uses it; no other key has it.")
    owner = Text(min_length=1, max_length=150, help_text="The username of the person who answers for it.")
    scope = Choice(
        ["", *Scope.values],
        required=False,
        default="",
        help_text="The role that it has on everything; empty: it has what it is granted.",
    )
    expires_at = Moment(required=False, allow_null=True, default=None, help_text=_EXPIRES)
    networks = _texts(64, MOST, _NETWORKS)
    rate = Whole(required=False, allow_null=True, default=None, min_value=1, max_value=MOST_RATE, help_text=_RATE)
    sources = _texts(1024, changing.MOST_PATTERNS, _SOURCES)
    types = _texts(255, changing.MOST_PATTERNS, _TYPES)


class ChangeKey(StrictSerializer):
    """What is to be changed; the rest stays as it is."""

    owner = Text(required=False, min_length=1, max_length=150, help_text="A username.")
    expires_at = Moment(required=False, allow_null=True, help_text=_EXPIRES)
    networks = _texts(64, MOST, _NETWORKS)
    rate = Whole(required=False, allow_null=True, min_value=1, max_value=MOST_RATE, help_text=_RATE)
    sources = _texts(1024, changing.MOST_PATTERNS, _SOURCES)
    types = _texts(255, changing.MOST_PATTERNS, _TYPES)


class RotateKey(StrictSerializer):
    """Until when the old secret opens something, too."""

    old_until = Moment(
        required=False, help_text="At most 90 days from now; one that has passed ends it now. Default: a day."
    )


class Nothing(StrictSerializer):
    """There is nothing to say."""


class ApiKeyOne(Answer):
    number = serializers.IntegerField()
    name = serializers.CharField()
    prefix = serializers.CharField(help_text="The part of the key that is no secret: `erip_<prefix>_…`.")
    owner = serializers.CharField(allow_null=True, help_text="A username; null: the owner is unknown.")
    scope = serializers.ChoiceField(["", *Scope.values])
    status = serializers.ChoiceField(["usable", "expired", "revoked", "owner-not-active"])
    networks = serializers.ListField(child=serializers.CharField())
    rate = serializers.IntegerField(allow_null=True)
    sources = serializers.ListField(child=serializers.CharField())
    types = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)
    rotated_at = serializers.DateTimeField(allow_null=True)
    rotated_by = serializers.CharField()
    old_until = serializers.DateTimeField(allow_null=True, help_text="Until when the secret before this one counts.")
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To within five minutes.")


class ApiKeyPage(Answer):
    items = ApiKeyOne(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class ApiKeyMade(ApiKeyOne):
    key = serializers.CharField(help_text="The whole key. Nobody is shown it again.")


def shown(row: ApiKey) -> dict[str, Any]:
    same = (
        "name", "prefix", "scope", "networks", "rate", "sources", "types", "created_at", "created_by", "expires_at",
        "rotated_at", "rotated_by", "revoked_at", "last_used_at",
    )  # fmt: skip
    return {
        "number": row.pk,
        "owner": None if row.owner is None else row.owner.get_username(),
        "status": _status(row),
        "old_until": row.previous_until,
        **{name: getattr(row, name) for name in same},
    }


def _status(row: ApiKey) -> str:
    if row.revoked_at is not None:
        return "revoked"
    if not row.owner_is_active:
        return "owner-not-active"
    return "usable" if row.is_usable(timezone.now()) else "expired"


def _with_key(made: NewKey) -> dict[str, Any]:
    return {**shown(changing.find(made.row.pk)), "key": made.token}


class ApiKeys(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["access.view_apikey"],
        tag="access",
        id="listKeys",
        summary="List API keys",
        description="Newest first, without their secrets. Follow `next_cursor` until it is null.",
        parameters=[KeyFilter],
        answers={200: ApiKeyPage},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, KeyFilter)
        found, limit = ApiKey.objects.select_related("owner").order_by("-id"), query["limit"]
        if "owner" in query:
            found = found.filter(owner__username=query["owner"])
        if "cursor" in query:
            found = found.filter(pk__lt=query["cursor"])
        rows = list(found[: limit + 1])
        more, rows = len(rows) > limit, rows[:limit]
        return Response({"items": [shown(row) for row in rows], "next_cursor": str(rows[-1].pk) if more else None})

    @operation(
        scope=Scope.ADMIN,
        permissions=["access.add_apikey"],
        tag="access",
        id="makeKey",
        summary="Make an API key",
        description="The answer holds the key, which nobody is shown again. Its scope is at most what you may do.",
        parameters=[response_header("Location", "Where the key is.", 201)],
        request=MakeKey,
        examples=[
            OpenApiExample(
                "A build server",
                value={"name": "ci", "owner": "ada", "scope": "operator", "networks": ["10.0.0.0/8"]},
                request_only=True,
            )
        ],
        answers={201: ApiKeyMade},
        problems=[409],
        no_key=_SECRET,
    )
    def post(self, request: Request) -> Response:
        body = read_body(request, MakeKey)
        body["allowed"] = body.pop("networks", ())
        made = changing.make(changing.Wanted(**body), by=principal_of(request), caller=cast(Principal, request.user))
        return Response(_with_key(made), status=201, headers={"Location": f"/api/v1/keys/{made.row.pk}"})


class ApiKeyView(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["access.view_apikey"],
        tag="access",
        id="getKey",
        summary="Read what is known of an API key",
        parameters=[NUMBER],
        answers={200: ApiKeyOne},
    )
    def get(self, request: Request, number: int) -> Response:
        return Response(shown(changing.find(number)))

    @operation(
        scope=Scope.ADMIN,
        permissions=["access.change_apikey"],
        tag="access",
        id="changeKey",
        summary="Change an API key's owner, end, networks, rate, or what it may send",
        description=(
            "It takes effect in every process within ERIP_API_KEY_CACHE_SECONDS."
            " You need to be allowed all that the key may do."
        ),
        parameters=[NUMBER],
        request=ChangeKey,
        answers={200: ApiKeyOne},
    )
    def patch(self, request: Request, number: int) -> Response:
        changing.change(number, read_body(request, ChangeKey), caller=cast(Principal, request.user))
        return Response(shown(changing.find(number)))


class ApiKeyRotate(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["access.change_apikey"],
        tag="access",
        id="rotateKey",
        summary="Exchange an API key's secret",
        description=(
            "The answer holds the new key, shown to nobody again. The old secret opens the same until `old_until`;"
            " a secret from before that ends now. You need to be allowed all that the key may do."
        ),
        parameters=[NUMBER],
        request=RotateKey,
        answers={200: ApiKeyMade},
        problems=[409],
        no_key=_SECRET,
    )
    def post(self, request: Request, number: int) -> Response:
        body = read_body(request, RotateKey, optional=True)
        made = changing.rotate(
            number, by=principal_of(request), caller=cast(Principal, request.user), old_until=body.get("old_until")
        )
        return Response(_with_key(made))


class ApiKeyRevoke(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["access.delete_apikey"],
        tag="access",
        id="revokeKey",
        summary="Close an API key for good",
        parameters=[NUMBER],
        request=Nothing,
        answers={200: ApiKeyOne},
    )
    def post(self, request: Request, number: int) -> Response:
        read_body(request, Nothing, optional=True)
        return Response(shown(changing.revoke(number)))
