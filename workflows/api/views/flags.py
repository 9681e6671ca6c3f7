"""Feature flags and kill switches: list them, turn them on or off, go back to what the release says."""

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.flags import stored
from erip.access.flags.asking import EVERY, features
from erip.access.models import Flag as FlagRow
from erip.access.scopes import Scope
from erip.foundation.hooks import Feature
from erip.foundation.http.fields import Flag, StrictSerializer, Text
from erip.foundation.http.reading import principal_of, read_body

from ..responses import Answer
from ..schema import operation

_NAME = OpenApiParameter(
    "name",
    {"type": "string", "pattern": f"^{stored.NAME}$"},
    OpenApiParameter.PATH,
    description="The flag's name.",
)
_WHO = "As `user:ada`, `key:ci` or `space:breach`: of the kinds that the flag is `about`."


@extend_schema_field({"type": "number", "minimum": 0, "maximum": 100})
class Share(serializers.Field[Any, Any, Any, Any]):
    """A percentage, as a JSON number."""

    default_error_messages = {"invalid": "must be a number, 0 to 100"}

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, bool) or not isinstance(data, int | float) or not 0 <= data <= 100:
            self.fail("invalid")
        return Decimal(str(data))

    def to_representation(self, value: Any) -> Any:
        return float(value)


def _names(about: str) -> Any:
    return serializers.ListField(
        child=Text(min_length=1, max_length=stored.LONGEST),
        required=False,
        default=list,
        max_length=stored.MOST,
        help_text=about,
    )


class PutFlag(StrictSerializer):
    """What the flag is from now on. The first of these that says something decides."""

    everyone = Flag(
        required=False, allow_null=True, default=None, help_text="On or off for everyone, whatever else is said."
    )
    off_for = _names(f"Off for these. {_WHO}")
    on_for = _names(f"On for these. {_WHO}")
    percent = Share(
        required=False,
        allow_null=True,
        default=None,
        help_text="On for this share of what `share_of` says, with at most one digit behind the point: always the same "
        "ones, and a larger share keeps those of a smaller one.",
    )
    note = Text(required=False, allow_blank=True, max_length=stored.LONGEST_NOTE, default="", help_text="Why.")


class FlagSaid(Answer):
    everyone = serializers.BooleanField(allow_null=True)
    off_for = serializers.ListField(child=serializers.CharField())
    on_for = serializers.ListField(child=serializers.CharField())
    percent = serializers.FloatField(allow_null=True)
    note = serializers.CharField()
    changed_by = serializers.CharField()
    changed_at = serializers.DateTimeField()


class FlagListed(Answer):
    name = serializers.CharField()
    known = serializers.BooleanField(
        help_text="False: this release has no such flag, another one had. Nothing asks for it."
    )
    meaning = serializers.CharField(help_text="What happens while it is off.")
    on = serializers.BooleanField(help_text="What the release says: what holds where no operator says anything.")
    unknown = serializers.BooleanField(
        help_text="What holds in a process that never reached the database since it began."
    )
    about = serializers.ListField(
        child=serializers.CharField(), help_text="The kinds of things that it can be on or off for."
    )
    share_of = serializers.CharField(help_text="What a percentage is a share of; empty: it cannot be a share.")
    said = FlagSaid(allow_null=True, help_text="What an operator says. Null: nothing, so that it is as `on` says.")


class FlagList(Answer):
    items = FlagListed(many=True, help_text="By name.")


def _listed(name: str, flag: Feature | None, row: FlagRow | None) -> dict[str, Any]:
    shown = flag or Feature(name, "Nothing: this release has no such flag.")
    said = row and {**stored.shown(row), "changed_by": row.changed_by, "changed_at": row.changed_at}
    return {
        "name": name,
        "known": flag is not None,
        "meaning": shown.meaning,
        "on": shown.on,
        "unknown": shown.unknown,
        "about": list(shown.about),
        "share_of": shown.share_of,
        "said": said,
    }


class Flags(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["access.view_flag"],
        tag="monitoring",
        id="listFlags",
        summary="List the feature flags and kill switches",
        description="What each does, what the release says of it, and what an operator says (docs/how-to/flags.md).",
        answers={200: FlagList},
    )
    def get(self, request: Request) -> Response:
        said, known = stored.said(), features()
        names = sorted(known.keys() | said.keys())
        return Response({"items": [_listed(name, known.get(name), said.get(name)) for name in names]})


class FlagOne(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["access.view_flag"],
        tag="monitoring",
        id="getFlag",
        summary="Read a feature flag",
        parameters=[_NAME],
        answers={200: FlagListed},
        problems=[404],
    )
    def get(self, request: Request, name: str) -> Response:
        return Response(_one(name))

    @operation(
        scope=Scope.ADMIN,
        permissions=["access.change_flag"],
        tag="monitoring",
        id="putFlag",
        summary="Turn a feature flag on or off, for all or for some",
        description=f"In force in every process within {EVERY:g} s. Nothing of what was said of it before stays.",
        parameters=[_NAME],
        request=PutFlag,
        examples=[
            OpenApiExample("Off", value={"everyone": False, "note": "It slows the database down."}, request_only=True),
            OpenApiExample("For some", value={"on_for": ["user:ada"], "percent": 10}, request_only=True),
        ],
        answers={200: FlagListed},
        problems=[404],
    )
    def put(self, request: Request, name: str) -> Response:
        body = read_body(request, PutFlag)
        stored.put(name, stored.Wanted(**body), by=principal_of(request))
        return Response(_one(name))

    @operation(
        scope=Scope.ADMIN,
        permissions=["access.change_flag"],
        tag="monitoring",
        id="deleteFlag",
        summary="Take back what was said of a feature flag",
        description="It is as the release has it again. So it is, too, if nothing was said of it.",
        parameters=[_NAME],
        answers={204: None},
        problems=[404],
    )
    def delete(self, request: Request, name: str) -> Response:
        stored.reset(name)
        return Response(status=204)


def _one(name: str) -> dict[str, Any]:
    """Raises UnknownFlag."""
    flag, row = features().get(name), stored.said().get(name)
    if flag is None and row is None:
        raise stored.UnknownFlag
    return _listed(name, flag, row)
