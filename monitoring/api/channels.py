"""Channels under /api/v1/alerts/channels."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.foundation.http.fields import Choice, StrictSerializer, Text
from erip.foundation.http.reading import principal_of, read_body
from monitoring import reaching, store
from monitoring.channels import KINDS
from monitoring.core.rules import NAME
from workflows.api.schema import operation

_CHANNEL = OpenApiParameter("name", {"type": "string", "pattern": f"^{NAME}$"}, OpenApiParameter.PATH)


class PutChannel(StrictSerializer):
    kind = Choice(KINDS, required=False)
    address = Text(
        required=False,
        max_length=reaching.MOST_ADDRESS,
        help_text="A URL, or an e-mail address. Nobody is shown it again.",
    )
    key = Text(
        required=False,
        max_length=reaching.MOST_KEY,
        help_text="`webhook`: the secret that signs; `pagerduty`: the integration key. Nobody is shown it again.",
    )
    hears = Choice(
        reaching.HEARS, required=False, help_text="Which messages are sent here beside those of on-call ladders."
    )


class ChannelShown(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=list(KINDS))
    hears = serializers.ChoiceField(choices=list(reaching.HEARS))
    place = serializers.CharField(help_text="The host of its URL, or its e-mail address.")
    changed_at = serializers.DateTimeField()
    changed_by = serializers.CharField()


class ChannelList(serializers.Serializer[Any]):
    items = ChannelShown(many=True)


class ChannelTested(serializers.Serializer[Any]):
    taken = serializers.BooleanField()
    error = serializers.CharField(allow_null=True, help_text="Why it was not taken.")


class Channels(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["monitoring.view_alertchannel"],
        tag="monitoring",
        id="listAlertChannels",
        summary="List the channels of alerts",
        description="Without their addresses and keys. Those of the settings are not here.",
        answers={200: ChannelList},
    )
    def get(self, request: Request) -> Response:
        return Response({"items": ChannelShown(list(store.channels().values()), many=True).data})


class ChannelOne(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["monitoring.change_alertchannel"],
        tag="monitoring",
        id="putAlertChannel",
        summary="Keep a channel",
        description="What is left out stays as it is. A key does not follow to another address.",
        parameters=[_CHANNEL],
        request=PutChannel,
        answers={200: ChannelShown, 201: ChannelShown},
    )
    def put(self, request: Request, name: str) -> Response:
        made, new = reaching.put_channel(name, read_body(request, PutChannel), by=principal_of(request))
        return Response(ChannelShown(made).data, status=201 if new else 200)

    @operation(
        scope=Scope.ADMIN,
        permissions=["monitoring.delete_alertchannel"],
        tag="monitoring",
        id="deleteAlertChannel",
        summary="Delete a channel",
        description="What is on its way to it is given up.",
        parameters=[_CHANNEL],
        answers={204: None},
        problems=[409],
    )
    def delete(self, request: Request, name: str) -> Response:
        reaching.drop_channel(name)
        return Response(status=204)


class ChannelTest(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["monitoring.test_alertchannel"],
        tag="monitoring",
        id="testAlertChannel",
        summary="Send a test to a channel",
        description="Waits for the answer of the receiver, 10 seconds at most. PagerDuty gets an incident of severity "
        "`info`, which is resolved at once.",
        parameters=[_CHANNEL],
        answers={200: ChannelTested},
        no_key="is not kept here: each test is sent",
    )
    def post(self, request: Request, name: str) -> Response:
        read_body(request, StrictSerializer, optional=True)
        error = reaching.try_channel(name)
        return Response({"taken": error is None, "error": error})
