"""What the API reads: the bodies and the query strings."""

import re

from rest_framework import serializers

from erip.foundation.http.fields import AnyJson, Choice, JsonObject, Moment, Number, StrictSerializer, Text, Whole
from workflows.core.states import Lane, RunState, StepState

NAME = r"[a-z][a-z0-9-]{0,62}"
STEP = r"[a-z][a-z0-9_]{0,62}"
SIGNAL = r"[a-z][a-z0-9_.-]{0,62}"
BULK_MAX = 10_000
KEY_MAX = 200
INT32 = 2**31 - 1
_RUN_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class StartRun(StrictSerializer):
    """Start one run."""

    input = JsonObject(help_text="What the workflow's `input` schema describes.")
    business_key = Text(
        required=False, allow_null=True, min_length=1, max_length=KEY_MAX, help_text="Your own name for the case."
    )
    lane = Choice(Lane, required=False, allow_null=True, help_text="Urgency, in place of the definition's.")
    version = Whole(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=INT32,
        help_text="Default: the latest version.",
    )


class StartBulk(StrictSerializer):
    """Start up to 10,000 runs of one workflow."""

    workflow = serializers.RegexField(rf"^{NAME}\Z", trim_whitespace=False, help_text="The workflow's name.")
    inputs = serializers.ListField(
        child=JsonObject(), min_length=1, max_length=BULK_MAX, help_text="One input for each run."
    )
    lane = Choice(Lane, required=False, allow_null=True, help_text="Urgency, in place of the definition's.")
    version = Whole(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=INT32,
        help_text="Default: the latest version.",
    )


class CancelRun(StrictSerializer):
    """Cancel a run."""

    reason = Text(required=False, allow_blank=True, max_length=1000, default="", help_text="Recorded with the run.")


class PauseRun(StrictSerializer):
    """Pause a run."""

    reason = Text(required=False, allow_blank=True, max_length=1000, default="", help_text="Recorded with the run.")
    clock = Choice(
        ["stop", "go"],
        required=False,
        default="stop",
        help_text="`stop`: what is left of each time, and of the deadline, is kept. `go`: times go on.",
    )


class ResumeRun(StrictSerializer):
    """Resume a paused run; there is nothing to say."""


class RetryRun(StrictSerializer):
    """Run again; there is nothing to say."""


class SendSignal(StrictSerializer):
    """A signal to a run."""

    payload = AnyJson(required=False, help_text="Any JSON value; it must fit the schema of the step that waits for it.")


class ResolveStep(StrictSerializer):
    """Say what became of a step whose outcome is unknown."""

    outcome = Choice(
        ["succeeded", "failed", "retry"],
        help_text="`retry` runs the step again: only if that can do no harm.",
    )
    output = AnyJson(required=False, help_text="The step's output, if it succeeded.")
    item = Whole(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=INT32,
        help_text="Of a step with `foreach`: which item.",
    )
    note = Text(required=False, allow_blank=True, max_length=1000, default="", help_text="Recorded with the run.")


class RunFilter(StrictSerializer):
    """The filters of the list of runs."""

    workflow = serializers.CharField(required=False, max_length=63, help_text="The workflow's name.")
    status = Choice(RunState, required=False)
    lane = Choice(Lane, required=False)
    business_key = serializers.CharField(required=False, max_length=200, trim_whitespace=False)
    created_after = Moment(required=False, help_text="RFC 3339, for example 2026-11-23T08:00:00Z.")
    cursor = serializers.CharField(required=False, max_length=512, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)

    def validate_cursor(self, cursor: str) -> str:
        if not _RUN_ID.fullmatch(cursor):
            raise serializers.ValidationError("is not the cursor of a page")
        return cursor


class ItemFilter(StrictSerializer):
    """The filters of the list of a fan-out's items."""

    status = Choice(StepState, required=False)
    cursor = Number(required=False, min_value=0, max_value=INT32, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class WorkflowFilter(StrictSerializer):
    """The page of the list of workflows."""

    cursor = serializers.CharField(required=False, max_length=512, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)
