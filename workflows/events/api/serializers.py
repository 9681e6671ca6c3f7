"""What the API of the event bus reads and answers with."""

from typing import Any

from rest_framework import serializers

from erip.foundation.http.fields import AnyJson, Choice, Flag, JsonObject, Moment, Number, StrictSerializer, Text
from workflows.events.queries import MAX_PAGE, Filter, read_cursor

Answer = serializers.Serializer[Any]


class CloudEvent(Answer):
    """A CloudEvent 1.0 in structured JSON. Other attributes with names of a-z and 0-9 are its extensions."""

    specversion = serializers.ChoiceField(choices=["1.0"])
    id = serializers.CharField(max_length=1024, help_text="Unique among the events of its source.")
    source = serializers.CharField(max_length=1024, help_text="A URI reference.")  # type: ignore[assignment]
    type = serializers.CharField(max_length=255)
    subject = serializers.CharField(required=False, max_length=1024, help_text="Events of a subject keep their order.")
    time = serializers.DateTimeField(required=False)
    datacontenttype = serializers.CharField(required=False)
    dataschema = serializers.CharField(required=False, help_text="An absolute URI.")
    partitionkey = serializers.CharField(
        required=False, max_length=1024, help_text="In place of the subject: events of one key keep their order."
    )
    data = AnyJson(required=False)  # type: ignore[assignment]
    data_base64 = serializers.CharField(
        required=False, allow_blank=True, help_text="Data that is not JSON, in place of `data`."
    )


class Accepted(Answer):
    accepted = serializers.IntegerField(help_text="Events that are durable now.")
    duplicates = serializers.IntegerField(help_text="Events left out, whose source and id stood in the request before.")


class LoggedEvent(Answer):
    position = serializers.CharField(help_text="Its place in the log: its partition, and its position there.")
    accepted_at = serializers.DateTimeField()
    logged_at = serializers.DateTimeField(help_text="When it took effect.")
    sender = serializers.CharField(
        allow_null=True, help_text="The principal who sent it. null: the platform itself, or nobody recorded it."
    )
    event = CloudEvent()


class RunOfEvent(Answer):
    run_id = serializers.UUIDField()
    trigger = serializers.CharField(help_text="The rule: `vulnerability-response: on[0]`, or `trigger <name>`.")
    signalled = serializers.BooleanField(help_text="It gave a signal to the run, which others had started.")


class EventDetail(LoggedEvent):
    runs = RunOfEvent(many=True, help_text="The runs that it started or gave a signal.")


class EventPage(Answer):
    items = LoggedEvent(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class _Matching(StrictSerializer):
    type = serializers.CharField(required=False, max_length=255)
    source = serializers.CharField(required=False, max_length=1024)  # type: ignore[assignment]
    subject = serializers.CharField(required=False, max_length=1024, trim_whitespace=False)
    after = Moment(required=False, help_text="Logged later than that (RFC 3339).")
    before = Moment(required=False, help_text="Logged earlier than that (RFC 3339).")


_NAMES = ("type", "source", "subject", "after", "before")


def filter_of(values: dict[str, Any]) -> Filter:
    return Filter(**{name: values[name] for name in _NAMES if name in values})


class EventFilter(_Matching):
    """The filters of the log."""

    id = serializers.CharField(
        required=False, max_length=1024, trim_whitespace=False, help_text="With `source`: one event."
    )
    order = Choice(["newest", "oldest"], required=False, help_text="Which comes first; newest, unless said.")
    cursor = serializers.CharField(required=False, max_length=512, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=MAX_PAGE, default=50)

    def validate_cursor(self, cursor: str) -> str:
        try:
            read_cursor(cursor)
        except ValueError as error:
            raise serializers.ValidationError("is not the cursor of a page") from error
        return cursor


class StartReplay(StrictSerializer):
    """Which events take effect again, and for whom."""

    target = Text(
        min_length=1,
        max_length=300,
        help_text="An effect (`triggers`), or one of its parts (`triggers:on-breach`, `subscriptions:17`).",
    )
    type = Text(required=False, allow_null=True, max_length=255)
    source = Text(required=False, allow_null=True, max_length=1024)  # type: ignore[assignment]
    subject = Text(required=False, allow_null=True, max_length=1024)
    after = Moment(required=False, allow_null=True, help_text="Logged later than that (RFC 3339).")
    before = Moment(required=False, allow_null=True, help_text="Logged earlier than that (RFC 3339).")
    dry_run = Flag(
        required=False, default=True, help_text="Say what it would do, and do nothing. So unless false is sent."
    )


class Replayed(Answer):
    target = serializers.CharField()
    dry_run = serializers.BooleanField()
    events = serializers.IntegerField(help_text="Events of the log that match.")
    effects = serializers.DictField(
        child=serializers.IntegerField(), help_text="Of a dry run: how often each trigger or subscription would act."
    )


class PartitionStatus(Answer):
    partition = serializers.IntegerField()
    lag = serializers.IntegerField(help_text="Events that wait.")
    oldest_seconds = serializers.FloatField(allow_null=True, help_text="For how long the oldest of them has waited.")
    rate = serializers.FloatField(help_text="Events a second, over the last seconds.")
    position = serializers.IntegerField(help_text="The position that its next event gets.")
    owner = serializers.CharField(allow_null=True, help_text="The worker that consumes it.")
    epoch = serializers.IntegerField(help_text="How often the owner has changed.")


class ConsumerStatus(Answer):
    worker = serializers.CharField()
    worker_id = serializers.IntegerField()
    alive = serializers.BooleanField(help_text="Whether its lease is good.")
    heartbeat_seconds = serializers.FloatField(help_text="Since its last heartbeat.")
    capacity = serializers.FloatField(allow_null=True, help_text="Events a second that it can serve, as measured.")
    partitions = serializers.IntegerField(help_text="How many it owns.")


class EventsStatus(Answer):
    lag = serializers.IntegerField()
    rate = serializers.FloatField()
    dead_letters = serializers.IntegerField(help_text="That nobody has resolved.")
    partitions = PartitionStatus(many=True)
    consumers = ConsumerStatus(many=True)


class ErrorAnswer(Answer):
    code = serializers.CharField()
    message = serializers.CharField()


class DeadLetter(Answer):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    position = serializers.CharField(allow_null=True, help_text="In the log; null if it could not be logged.")
    partition = serializers.IntegerField()
    block = serializers.IntegerField(allow_null=True)
    offset = serializers.IntegerField(allow_null=True)
    effect = serializers.CharField(help_text="What failed.")
    target = serializers.CharField(allow_null=True, help_text="Which part of it: a trigger, for example.")
    error = ErrorAnswer()
    attempts = serializers.IntegerField()
    status = serializers.ChoiceField(choices=["open", "retried", "discarded"])
    resolved_at = serializers.DateTimeField(allow_null=True)
    resolved_by = serializers.CharField(allow_null=True)
    event = JsonObject()


class DeadLetterPage(Answer):
    items = DeadLetter(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class DeadLetterFilter(StrictSerializer):
    """The filters of the dead letters."""

    status = Choice(["open", "retried", "discarded", "any"], required=False, help_text="open, unless said.")
    type = serializers.CharField(required=False, max_length=255)
    cursor = Number(required=False, min_value=1, max_value=2**63 - 1, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=MAX_PAGE, default=50)
