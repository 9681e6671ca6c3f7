"""What the API of triggers and event types reads and answers with."""

from typing import Any

from rest_framework import serializers

from erip.foundation.http.fields import Flag, JsonObject, StrictSerializer, Text

Answer = serializers.Serializer[Any]

TRIGGER = r"[a-z][a-z0-9-]{0,62}"
#: the names that a registered type may have: the name is part of a URL
EVENT_TYPE = r"[A-Za-z][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*"
MAX_EVENT_TYPE = 250


class PutTrigger(StrictSerializer):
    """Store a trigger."""

    workflow = Text(min_length=1, max_length=63, help_text="The workflow whose runs it starts.")
    rule = JsonObject(help_text="A rule as in a definition's `on`.")
    enabled = Flag(required=False, default=True, help_text="false: it is kept, and not asked.")
    description = Text(required=False, allow_blank=True, max_length=4000, default="")


class TriggerStored(Answer):
    name = serializers.CharField()
    version = serializers.IntegerField()
    changed = serializers.BooleanField(help_text="false: it said the same before.")


class TriggerListed(Answer):
    name = serializers.CharField()
    version = serializers.IntegerField()
    workflow = serializers.CharField()
    rule = JsonObject()
    enabled = serializers.BooleanField()
    deleted = serializers.BooleanField()
    description = serializers.CharField()
    author = serializers.CharField()
    created_at = serializers.DateTimeField()


class TriggerInForce(TriggerListed):
    problem = serializers.CharField(
        allow_null=True, help_text="Why it is not asked, if it cannot be used: the others go on without it."
    )


class TriggerList(Answer):
    items = TriggerInForce(many=True)


class TriggerDetail(TriggerInForce):
    versions = TriggerListed(many=True, help_text="The latest 100, newest first.")


class StartedByEvent(Answer):
    run_id = serializers.UUIDField()
    trigger = serializers.CharField(help_text="The rule: `vulnerability-response: on[0]`, or `trigger <name>`.")
    position = serializers.CharField(help_text="The event's place in the log.")
    logged_at = serializers.DateTimeField()
    event = JsonObject(help_text="The CloudEvent; null where the log has dropped it.", allow_null=True)
    events = serializers.ListField(
        child=serializers.CharField(),
        help_text="The places of all events that it was started with: of a rule with collect, up to 1,000.",
    )


class PendingStartListed(Answer):
    id = serializers.UUIDField()
    workflow = serializers.CharField()
    trigger = serializers.CharField(help_text="The rule: `triage: on[0]`, or `trigger <name>`.")
    business_key = serializers.CharField(allow_null=True)
    count = serializers.IntegerField(help_text="Events so far.")
    bytes = serializers.IntegerField(help_text="What is kept of them.")
    since = serializers.DateTimeField(help_text="When the first one took effect.")
    due_at = serializers.DateTimeField(help_text="When the run starts, if nothing else comes.")
    open = serializers.BooleanField(help_text="false: it takes no more events.")
    problem = serializers.CharField(allow_null=True, help_text="Why it could not be started; it is tried again.")
    explain = serializers.CharField(help_text="What it waits for, in one sentence.")


class PendingStartList(Answer):
    items = PendingStartListed(many=True, help_text="The first 100 that are due.")
    count = serializers.IntegerField(help_text="How many there are in all.")


class PendingStartDetail(PendingStartListed):
    rule = JsonObject(help_text="The rule as it was when the first event came.")
    events = serializers.ListField(
        child=serializers.CharField(),
        help_text="The places of its events in the log: of a rule with debounce only the last one.",
    )


class PendingStartStarted(Answer):
    run_id = serializers.UUIDField()


class PendingStartDiscarded(Answer):
    events = serializers.IntegerField(help_text="How many became dead letters.")


class PutEventType(StrictSerializer):
    """Register an event type."""

    schema = JsonObject(help_text="JSON Schema (2020-12 unless `$schema` says otherwise) of the events' `data`.")
    description = Text(required=False, allow_blank=True, max_length=4000, default="")


class EventTypeRegistered(Answer):
    type = serializers.CharField()
    version = serializers.IntegerField()


class EventTypeListed(Answer):
    type = serializers.CharField()
    version = serializers.IntegerField()
    description = serializers.CharField()
    author = serializers.CharField()
    created_at = serializers.DateTimeField()


class EventTypeList(Answer):
    items = EventTypeListed(many=True)


class EventTypeVersion(EventTypeListed):
    schema = JsonObject()


class EventTypeDetail(EventTypeVersion):
    versions = EventTypeVersion(many=True, help_text="The latest 100, newest first.")
