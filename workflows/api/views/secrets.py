"""Secrets for steps: store, list, delete. A value that was stored is never answered."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.foundation.http.fields import Choice, Flag, Number, StrictSerializer, Text
from erip.foundation.http.reading import principal_of, read_body, read_query
from workflows.secrets import stored
from workflows.secrets.models import Provider, Secret
from workflows.secrets.values import LONGEST

from ..responses import Answer
from ..schema import operation

#: what a page's cursor begins with: a name alone would be mistaken for a filter
_BEHIND = "after:"
_NAME = OpenApiParameter(
    "name",
    {"type": "string", "pattern": f"^{stored.NAME}$"},
    OpenApiParameter.PATH,
    description="The secret's name, as definitions write it.",
)


class SecretFilter(StrictSerializer):
    """Which page of the list."""

    cursor = serializers.RegexField(
        f"^{_BEHIND}{stored.NAME}$", required=False, max_length=70, help_text="`next_cursor` of the page before."
    )
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class PutSecret(StrictSerializer):
    """Who has the value, and who may use it."""

    provider = Choice(Provider.values, help_text="Who has the value.")
    reference = Text(
        required=False,
        allow_blank=True,
        max_length=500,
        default="",
        help_text="Where the provider has it. Default: under the secret's name.",
    )
    value = Text(
        required=False,
        allow_null=True,
        max_length=LONGEST,
        write_only=True,
        help_text="With `database` alone: the value, of at least 8 characters. Without it the one that is there stays.",
    )
    spaces = serializers.ListField(
        child=Text(allow_blank=True, max_length=63),
        required=False,
        default=list,
        max_length=200,
        help_text='Workflows of these spaces may use it; "" stands for those without a space.',
    )
    everywhere = Flag(required=False, default=False, help_text="Every workflow may use it.")
    description = Text(required=False, allow_blank=True, max_length=1000, default="")


class SecretListed(Answer):
    name = serializers.CharField()
    provider = serializers.ChoiceField(Provider.values)
    reference = serializers.CharField(help_text="Where the provider has it; empty: under the secret's name.")
    spaces = serializers.ListField(child=serializers.CharField(), help_text='"" stands for workflows without a space.')
    everywhere = serializers.BooleanField(help_text="Whether every workflow may use it.")
    description = serializers.CharField()
    version = serializers.IntegerField(help_text="How often it was stored.")
    changed_by = serializers.CharField()
    changed_at = serializers.DateTimeField()


class SecretPage(Answer):
    items = SecretListed(many=True)
    next_cursor = serializers.CharField(allow_null=True)


def _listed(secret: Secret) -> dict[str, Any]:
    names = ("name", "provider", "reference", "spaces", "everywhere", "description", "version", "changed_by")
    return {**{name: getattr(secret, name) for name in names}, "changed_at": secret.changed_at}


class Secrets(APIView):
    @operation(
        scope=Scope.AUTHOR,
        permissions=["secrets.view_secret"],
        tag="secrets",
        id="listSecrets",
        summary="List the secrets that steps may be given",
        description="By name, without their values. Follow `next_cursor` until it is null.",
        parameters=[SecretFilter],
        answers={200: SecretPage},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, SecretFilter)
        after = query["cursor"].removeprefix(_BEHIND) if "cursor" in query else None
        found, following = stored.page(after=after, limit=query["limit"])
        cursor = None if following is None else f"{_BEHIND}{following}"
        return Response({"items": [_listed(one) for one in found], "next_cursor": cursor})


class SecretOne(APIView):
    @operation(
        scope=Scope.AUTHOR,
        permissions=["secrets.view_secret"],
        tag="secrets",
        id="getSecret",
        summary="Read who has a secret and who may use it",
        description="Not its value: nobody can read that.",
        parameters=[_NAME],
        answers={200: SecretListed},
    )
    def get(self, request: Request, name: str) -> Response:
        return Response(_listed(stored.get(name)))

    @operation(
        scope=Scope.ADMIN,
        permissions=["secrets.change_secret"],
        tag="secrets",
        id="putSecret",
        summary="Store a secret",
        description=(
            "Steps that begin from now on are given the new value. The definitions that use it name it as "
            "`${{ secrets.name }}`."
        ),
        parameters=[_NAME],
        request=PutSecret,
        examples=[
            OpenApiExample(
                "In the database",
                value={"provider": "database", "value": "not-a-real-token", "spaces": [""]},
                request_only=True,
            ),
            OpenApiExample(
                "In a file of the workers", value={"provider": "files", "everywhere": True}, request_only=True
            ),
        ],
        answers={200: SecretListed, 201: SecretListed},
    )
    def put(self, request: Request, name: str) -> Response:
        body = read_body(request, PutSecret)
        secret, new = stored.put(name, stored.Wanted(**body), by=principal_of(request))
        return Response(_listed(secret), status=201 if new else 200)

    @operation(
        scope=Scope.ADMIN,
        permissions=["secrets.change_secret"],
        tag="secrets",
        id="deleteSecret",
        summary="Delete a secret",
        description="Steps that name it fail from now on.",
        parameters=[_NAME],
        answers={204: None},
    )
    def delete(self, request: Request, name: str) -> Response:
        stored.delete(name)
        return Response(status=204)
