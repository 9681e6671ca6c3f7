"""What the API of subscriptions and streams reads and answers with."""

from typing import Any

from rest_framework import serializers

from erip.foundation.http.fields import Choice, Flag, Number, StrictSerializer, Text
from workflows.events.models import DeliveryState
from workflows.events.subscriptions import MAX_TYPES

Answer = serializers.Serializer[Any]

_TYPES = "Types of events; `*` at the end stands for any rest."
_SOURCE = "Only events of this source; `*` at the end stands for any rest."
_SUBJECT = "Only events of this subject; `*` at the end stands for any rest."


class Types(serializers.ListField):
    child = Text(min_length=1, max_length=255)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_length=1, max_length=MAX_TYPES, help_text=_TYPES, **kwargs)


class Subscribe(StrictSerializer):
    """Have events posted to a URL."""

    url = Text(min_length=1, max_length=2048, help_text="https, and a public address.")
    types = Types()
    source = Text(  # type: ignore[assignment]
        required=False, allow_null=True, default=None, min_length=1, max_length=1024, help_text=_SOURCE
    )
    subject = Text(required=False, allow_null=True, default=None, min_length=1, max_length=1024, help_text=_SUBJECT)
    description = Text(required=False, allow_blank=True, max_length=500, default="")
    enabled = Flag(required=False, default=True)


class ChangeSubscription(StrictSerializer):
    """What is named is changed."""

    url = Text(required=False, min_length=1, max_length=2048)
    types = Types(required=False)
    source = Text(  # type: ignore[assignment]
        required=False, allow_null=True, min_length=1, max_length=1024, help_text=_SOURCE
    )
    subject = Text(required=False, allow_null=True, min_length=1, max_length=1024, help_text=_SUBJECT)
    description = Text(required=False, allow_blank=True, max_length=500)
    enabled = Flag(required=False, help_text="True also has one tried anew that was disabled for its failures.")


class Subscription(Answer):
    id = serializers.UUIDField()
    url = serializers.CharField()
    types = serializers.ListField(child=serializers.CharField())
    source = serializers.CharField(allow_null=True)  # type: ignore[assignment]
    subject = serializers.CharField(allow_null=True)
    description = serializers.CharField()
    enabled = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    secret_rotated_at = serializers.DateTimeField(allow_null=True)
    failing_since = serializers.DateTimeField(allow_null=True, help_text="The first failure since the last success.")
    disabled_at = serializers.DateTimeField(allow_null=True, help_text="When it was disabled for its failures.")
    disabled_reason = serializers.CharField()


class SubscriptionMade(Subscription):
    secret = serializers.CharField(help_text="Verifies the signatures (Standard Webhooks). Nobody is shown it again.")


class SubscriptionPage(Answer):
    items = Subscription(many=True)


class Delivery(Answer):
    id = serializers.IntegerField()
    webhook_id = serializers.CharField(help_text="The header `webhook-id` of each attempt.")
    subscription = serializers.UUIDField()
    type = serializers.CharField()
    event_id = serializers.CharField()
    position = serializers.CharField(allow_null=True, help_text="The event's place in the log; null: a test.")
    status = serializers.ChoiceField(choices=DeliveryState.values)
    attempts = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class Attempt(Answer):
    number = serializers.IntegerField()
    at = serializers.DateTimeField()
    milliseconds = serializers.IntegerField(allow_null=True, help_text="Null: it goes on, or its worker was lost.")
    status = serializers.IntegerField(allow_null=True, help_text="Of the answer, if there was one.")
    error = serializers.CharField()


class DeliveryWithLog(Delivery):
    log = Attempt(many=True)


class DeliveryPage(Answer):
    items = DeliveryWithLog(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class DeliveryFilter(StrictSerializer):
    """The filters of the list of deliveries."""

    status = Choice(DeliveryState.values, required=False)
    cursor = Number(required=False, min_value=1, max_value=2**63 - 1, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class Nothing(StrictSerializer):
    """There is nothing to say."""
