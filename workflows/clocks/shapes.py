"""What the API of legal clocks reads and answers with."""

from typing import Any

from rest_framework import serializers

from erip.foundation.http.fields import Choice, Flag, JsonObject, Moment, Number, StrictSerializer, Text
from workflows.clocks.models import OPEN, State

Answer = serializers.Serializer[Any]
#: what a page's cursor looks like: the deadline in microseconds from 1970, and the clock's id
CURSOR = r"after:(?:-?[0-9]{1,18}|none)-[0-9]{1,18}"


class ClockFilter(StrictSerializer):
    """Which open clocks."""

    state = Choice([one.value for one in OPEN], required=False)
    workflow = Text(required=False, max_length=63, help_text="Only of its runs.")
    cursor = serializers.RegexField(
        f"^{CURSOR}$", required=False, max_length=50, help_text="`next_cursor` of the page before."
    )
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class Explain(StrictSerializer):
    """How much to say."""

    explain = Choice(
        ["1", "0", "true", "false"], required=False, default="0", help_text="1: also say how each deadline came about."
    )
    cursor = serializers.RegexField(
        f"^{CURSOR}$", required=False, max_length=50, help_text="`next_cursor` of the page before."
    )
    limit = Number(required=False, min_value=1, max_value=500, default=200)


class ReassessmentFilter(StrictSerializer):
    """Which cases that were assessed again."""

    cause = Choice(["law", "facts"], required=False)
    cursor = Number(required=False, min_value=1, max_value=10**18, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class StopClock(StrictSerializer):
    """Why it stands still, and what allows that."""

    reason = Text(max_length=500)
    article = Text(required=False, allow_blank=True, max_length=300, default="")
    at = Moment(required=False, help_text="Since when. Default: now.")


class ResumeClock(StrictSerializer):
    """Why it goes on."""

    reason = Text(required=False, allow_blank=True, max_length=500, default="")
    at = Moment(required=False, help_text="Since when. Default: now.")


class AmendClock(StrictSerializer):
    """What is corrected: the moments that it counts from, or an extension that was granted."""

    reason = Text(max_length=500)
    moments = serializers.DictField(
        child=Moment(),
        required=False,
        allow_empty=False,
        help_text='Trigger → moment, such as {"confirmed": "2026-11-20T16:30:00Z"}.',
    )
    extended_until = Moment(required=False, help_text="The authority granted more time.")


class FileClock(StrictSerializer):
    """The proof that the duty was met."""

    reference = Text(max_length=200, help_text="What the authority knows it by.")
    document = Text(required=False, allow_blank=True, max_length=500, default="", help_text="Where the proof is kept.")
    at = Moment(required=False, help_text="When. Default: now.")
    again = Flag(required=False, default=False, help_text="It was filed before, and has been filed again with news.")


class DismissClock(StrictSerializer):
    """Why the duty does not apply."""

    reason = Text(max_length=500)


class NewFacts(StrictSerializer):
    """What was learnt about the incident."""

    reason = Text(max_length=500)
    facts = JsonObject(help_text="As the input of `compass.assess_compliance`; null: not known any more (no moment).")


class SkippedDay(Answer):
    day = serializers.CharField(help_text="As 2026-05-25.")
    why = serializers.CharField()


class ClockReading(Answer):
    """One reading of the law, so that it can be recomputed by hand."""

    at = serializers.DateTimeField()
    zone = serializers.CharField(help_text="Whose dates were counted; empty: not known.")
    place = serializers.CharField()
    article = serializers.CharField(help_text="What it rests on beyond the duty's own.")
    skipped = SkippedDay(many=True)
    how = serializers.ListField(child=serializers.CharField())


class ClockExplanation(Answer):
    """clocks, moments, places and facts are all that the readings hang on, beside the stops and the extension."""

    due = ClockReading()
    arguable = ClockReading()
    clocks = serializers.JSONField(help_text="The duty's clocks, as docs/reference/library.md describes them.")
    moments = serializers.JSONField(help_text="Trigger → moment.")
    assumed = serializers.ListField(child=serializers.CharField(), help_text="Moments that are not known.")
    places = serializers.ListField(child=serializers.CharField(), help_text="Where the law applies; []: not known.")
    facts = serializers.ListField(child=serializers.CharField(), help_text="Of the organisation.")


class LegalClock(Answer):
    id = serializers.IntegerField()
    run_id = serializers.UUIDField()
    workflow = serializers.CharField()
    obligation = serializers.CharField()
    regime = serializers.CharField()
    title = serializers.CharField()
    authority = serializers.CharField()
    wording = serializers.CharField()
    citation = serializers.CharField()
    source_url = serializers.CharField()
    verified = serializers.BooleanField(help_text="The official wording of the law was read; if not, check it.")
    reviewed_on = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(State.values)
    trigger = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)
    due_at = serializers.DateTimeField(allow_null=True, help_text="The earliest reading of the law: it alarms.")
    arguable_until = serializers.DateTimeField(allow_null=True)
    provisional = serializers.BooleanField(help_text="A forecast, or counted from an assumption.")
    doubt = serializers.CharField(help_text="Why it may not apply any more; empty: nothing speaks against it.")
    overdue = serializers.BooleanField()
    late = serializers.BooleanField(help_text="It was filed after it was due.")
    stops = serializers.JSONField()
    extended = serializers.JSONField(allow_null=True)
    filed = serializers.JSONField(allow_null=True)
    history = serializers.JSONField()
    versions = serializers.JSONField(help_text="Of the holidays and the time zones.")
    explanation = ClockExplanation(allow_null=True, help_text="With explain=1; null: nothing runs yet.")


class LegalClocks(Answer):
    items = LegalClock(many=True)


class LegalClockPage(LegalClocks):
    next_cursor = serializers.CharField(allow_null=True)


class ClockChange(Answer):
    clock = serializers.IntegerField()
    obligation = serializers.CharField()
    what = serializers.ChoiceField(["started", "moved", "changed", "doubted", "applies"])
    due_before = serializers.DateTimeField(allow_null=True)
    due_at = serializers.DateTimeField(allow_null=True)


class Reassessed(Answer):
    """What a new fact or a change of the law did to the clocks of a case."""

    id = serializers.IntegerField()
    run_id = serializers.UUIDField()
    workflow = serializers.CharField()
    at = serializers.DateTimeField()
    cause = serializers.ChoiceField(["law", "facts"])
    by = serializers.CharField()
    reason = serializers.CharField()
    changes = ClockChange(many=True)


class ReassessedList(Answer):
    items = Reassessed(many=True)


class ReassessedPage(ReassessedList):
    next_cursor = serializers.CharField(allow_null=True)
