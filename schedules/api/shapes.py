"""What the API of schedules reads and answers with."""

from typing import Any

from rest_framework import serializers

from erip.foundation.http.fields import AnyJson, Choice, Flag, Moment, Number, StrictSerializer, Text, Whole
from schedules.models import Cause, Outcome

Answer = serializers.Serializer[Any]

SCHEDULE = "[a-z][a-z0-9-]{0,62}"


class PutSchedule(StrictSerializer):
    """A schedule: what it says, and a sentence about it."""

    schedule = AnyJson(help_text="As in docs/how-to/schedules.md.")
    description = Text(required=False, allow_blank=True, max_length=2000, default="")


class PreviewSchedule(StrictSerializer):
    """A schedule that is not stored."""

    schedule = AnyJson(help_text="As in docs/how-to/schedules.md.")
    count = Whole(required=False, min_value=1, max_value=400, default=10)


class PreviewFilter(StrictSerializer):
    """How far to look."""

    count = Number(required=False, min_value=1, max_value=400, default=10)
    after = Moment(required=False, help_text="Only later moments. Default: now.")


#: what a page's cursor begins with: a name alone would be mistaken for a filter
BEHIND = "after:"


class ScheduleFilter(StrictSerializer):
    """Which page of the list."""

    cursor = serializers.RegexField(
        f"^{BEHIND}{SCHEDULE}$", required=False, max_length=70, help_text="`next_cursor` of the page before."
    )
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class StartFilter(StrictSerializer):
    """The filters of the list of starts."""

    outcome = Choice(Outcome.values, required=False)
    cursor = Number(required=False, min_value=1, max_value=2**63 - 1, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class Pause(StrictSerializer):
    """Why it is paused."""

    reason = Text(required=False, allow_blank=True, max_length=1000, default="")


class Backfill(StrictSerializer):
    """A time that has passed: `from` is part of it, `to` is not."""

    def get_fields(self) -> dict[str, Any]:
        # `from` cannot be the name of a class's attribute.
        return {"from": Moment(source="begin"), **super().get_fields()}

    to = Moment()
    dry_run = Flag(required=False, default=True, help_text="Only say what would start. Send false to start it.")


class Nothing(StrictSerializer):
    """There is nothing to say."""


class ScheduleStored(Answer):
    name = serializers.CharField()
    version = serializers.IntegerField()
    changed = serializers.BooleanField(help_text="False: the latest version says the same.")


class ScheduleSummary(Answer):
    name = serializers.CharField()
    version = serializers.IntegerField()
    schedule = serializers.JSONField()
    description = serializers.CharField()
    author = serializers.CharField()
    created_at = serializers.DateTimeField(help_text="Of this version.")
    next_at = serializers.DateTimeField(allow_null=True, help_text="Its next moment; null: there is none any more.")
    next_start_at = serializers.DateTimeField(allow_null=True, help_text="The same with jitter.")
    paused_at = serializers.DateTimeField(allow_null=True)
    paused_by = serializers.CharField()
    paused_reason = serializers.CharField()
    problem = serializers.CharField(allow_null=True, help_text="Why it could not start a run now; null: it could.")


class SchedulePage(Answer):
    items = ScheduleSummary(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class ScheduleVersion(Answer):
    version = serializers.IntegerField()
    schedule = serializers.JSONField()
    description = serializers.CharField()
    deleted = serializers.BooleanField()
    author = serializers.CharField()
    created_at = serializers.DateTimeField()


class ScheduleDetail(ScheduleSummary):
    versions = ScheduleVersion(many=True)


class Coming(Answer):
    at = serializers.DateTimeField(help_text="The moment, in UTC.")
    local = serializers.DateTimeField(help_text="The same on the clock of the schedule's time zone.")
    starts_at = serializers.DateTimeField(help_text="With jitter.")
    planned = serializers.DateTimeField(help_text="Another moment than `at`: a closed day moved it.")


class Comings(Answer):
    items = Coming(many=True)


class Start(Answer):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    until = serializers.DateTimeField(allow_null=True, help_text="This row stands for all moments up to this one.")
    cause = serializers.ChoiceField(choices=Cause.values)
    outcome = serializers.ChoiceField(choices=Outcome.values)
    reason = serializers.CharField()
    run_id = serializers.UUIDField(allow_null=True)
    by = serializers.CharField()
    decided_at = serializers.DateTimeField()


class StartPage(Answer):
    items = Start(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class BackfillMoment(Answer):
    at = serializers.DateTimeField()
    starts = serializers.BooleanField(help_text="False: it was started before.")
    known = serializers.CharField(allow_null=True, help_text="What became of it before.")


class Backfilled(Answer):
    dry_run = serializers.BooleanField()
    starts = serializers.IntegerField(help_text="Runs that are started, or would be.")
    items = BackfillMoment(many=True)
