"""What the API reads: the bodies and the query strings."""

import re
from typing import Any
from uuid import UUID

from rest_framework import serializers

from erip.foundation.http.fields import AnyJson, Choice, Flag, JsonObject, Moment, Number, StrictSerializer, Text, Whole
from workflows.core.states import Lane, RunState, StepState
from workflows.models.runs import CODE_SHOWN
from workflows.operations import OPERATIONS, OUTCOMES

NAME = r"[a-z][a-z0-9-]{0,62}"
STEP = r"[a-z][a-z0-9_]{0,62}"
SIGNAL = r"[a-z][a-z0-9_.-]{0,62}"
BULK_MAX = 10_000
IDS_MAX = 10_000
KEY_MAX = 200
INT32 = 2**31 - 1
_RUN_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STEP_CURSOR = re.compile(rf"({_RUN_ID.pattern}) ({STEP}) (-1|[0-9]{{1,10}})")


class RunId(Text):
    """An id of a run, in any case."""

    default_error_messages = {"not_an_id": "is not the id of a run"}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data).lower()
        if not _RUN_ID.fullmatch(text):
            self.fail("not_an_id")
        return text


def _cursor_of_ids(_: Any, cursor: str) -> str:
    if not _RUN_ID.fullmatch(cursor):
        raise serializers.ValidationError("is not the cursor of a page")
    return cursor


def _cursor_of_steps(_: Any, cursor: str) -> tuple[UUID, str, int]:
    """(run id, step, item) of the last one of the page before."""
    found = _STEP_CURSOR.fullmatch(cursor)
    if found is None or int(found[3]) > INT32:
        raise serializers.ValidationError("is not the cursor of a page")
    return UUID(found[1]), found[2], int(found[3])


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


class PauseAll(StrictSerializer):
    """Pause a workflow or a lane."""

    reason = Text(required=False, allow_blank=True, max_length=1000, default="", help_text="Recorded with each run.")
    clock = Choice(
        ["stop", "go"],
        required=False,
        default="stop",
        help_text="`stop`: what is left of each run's times, and of its deadline, is kept. `go`: times go on.",
    )


class ResumeAll(StrictSerializer):
    """Resume a workflow or a lane; there is nothing to say."""


class ResumeRun(StrictSerializer):
    """Resume a paused run; there is nothing to say."""


class RetryRun(StrictSerializer):
    """Run again."""

    input = JsonObject(required=False, help_text="In place of the run's own input.")


class SendSignal(StrictSerializer):
    """A signal to a run."""

    payload = AnyJson(required=False, help_text="Any JSON value; it must fit the schema of the step that waits for it.")


class SendSignalByKey(SendSignal):
    """A signal to the run for a business key."""

    business_key = Text(min_length=1, max_length=KEY_MAX, help_text="That of the run.")


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


class RunSelection(StrictSerializer):
    """Which runs are meant: those for which everything that is set holds."""

    workflow = Text(required=False, max_length=63, help_text="The workflow's name.")
    status = Choice(RunState, required=False)
    lane = Choice(Lane, required=False)
    business_key = Text(required=False, max_length=KEY_MAX, help_text="The whole key.")
    business_key_prefix = Text(required=False, max_length=KEY_MAX, help_text="How the key begins.")
    business_key_contains = Text(required=False, min_length=1, max_length=KEY_MAX, help_text="A part of the key.")
    error_code = Text(
        required=False,
        max_length=CODE_SHOWN,
        help_text="The code of the error of the step that failed, or of the run itself. Of a longer code, the first "
        f"{CODE_SHOWN} characters.",
    )
    failed_step = Text(required=False, max_length=63, help_text="The step because of which the run failed.")
    created_after = Moment(required=False, help_text="RFC 3339, for example 2026-11-23T08:00:00Z.")
    created_before = Moment(required=False)
    ended_after = Moment(required=False)
    ended_before = Moment(required=False)


class RunFilter(RunSelection):
    """The filters of the list of runs."""

    retried = Choice(["true", "false"], required=False, help_text="Whether the run has a retry.")
    cursor = serializers.CharField(required=False, max_length=512, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)

    def validate_retried(self, retried: str) -> bool:
        return retried == "true"

    validate_cursor = _cursor_of_ids


class BatchFilter(RunSelection):
    """Which runs an operation is done to: those that fit the operation, and for which everything that is set holds. At
    least one thing must be set."""

    retried = Flag(required=False, help_text="Whether the run has a retry.")
    ids = serializers.ListField(
        child=RunId(), required=False, min_length=1, max_length=IDS_MAX, help_text="Only these runs."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(
                "names nothing, and would match every run: name a workflow, a status, a time or another filter"
            )
        return attrs


class CancelFilter(BatchFilter):
    status = Choice(OPERATIONS["cancel"].states_in_order(), required=False)


class RetryFilter(BatchFilter):
    status = Choice(
        OPERATIONS["retry"].states_in_order(), required=False, help_text="Without it: FAILED and TIMED_OUT."
    )


class BeginBatch(StrictSerializer):
    """An operation on all runs that a filter matches."""

    dry_run = Flag(required=False, default=False, help_text="Only count the runs; nothing is done.")
    expected_count = Whole(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=INT32,
        help_text="How many runs the filter must match; otherwise 409, and nothing is done.",
    )
    reason = Text(
        required=False, allow_blank=True, max_length=1000, default="", help_text="Recorded with the batch and its runs."
    )


class BeginCancel(BeginBatch):
    """Cancel all runs that a filter matches."""

    filter = CancelFilter()


class BeginRetry(BeginBatch):
    """Run all runs again that a filter matches."""

    filter = RetryFilter()


class PauseFilter(BatchFilter):
    status = Choice(OPERATIONS["pause"].states_in_order(), required=False)


class ResumeFilter(BatchFilter):
    status = Choice(OPERATIONS["resume"].states_in_order(), required=False)


class BeginPause(BeginBatch):
    """Pause all runs that a filter matches."""

    filter = PauseFilter()
    clock = Choice(
        ["stop", "go"],
        required=False,
        default="stop",
        help_text="`stop`: what is left of each time, and of the deadline, is kept. `go`: times go on.",
    )


class BeginResume(BeginBatch):
    """Resume all paused runs that a filter matches."""

    filter = ResumeFilter()


class BatchList(StrictSerializer):
    """A page of the list of batches."""

    cursor = serializers.CharField(required=False, max_length=512, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)

    validate_cursor = _cursor_of_ids


class BatchRunFilter(BatchList):
    """The filters of the list of a batch's runs."""

    outcome = Choice(
        sorted(OUTCOMES), required=False, help_text="`pending`: those that have none yet; see the operation's outcomes."
    )


class ItemFilter(StrictSerializer):
    """The filters of the list of a fan-out's items."""

    status = Choice(StepState, required=False)
    cursor = Number(required=False, min_value=0, max_value=INT32, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class UnknownFilter(StrictSerializer):
    """The filters of the list of steps whose outcome is unknown."""

    workflow = Text(required=False, max_length=63, help_text="Of this workflow's runs.")
    business_key = Text(required=False, max_length=KEY_MAX, help_text="Of the runs with this key; the whole key.")
    cursor = serializers.CharField(required=False, max_length=512, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)

    validate_cursor = _cursor_of_steps


class WorkflowFilter(StrictSerializer):
    """The page of the list of workflows."""

    cursor = serializers.CharField(required=False, max_length=512, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)
