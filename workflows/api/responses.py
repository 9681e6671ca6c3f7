"""The API's answers, described for the OpenAPI document. The answers themselves come from workflows.queries."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from erip.foundation.http.fields import AnyJson, JsonObject
from workflows.at_work import COUNTED
from workflows.core.states import Lane, RunState, StepState
from workflows.operations import OPERATIONS, OUTCOMES

Answer = serializers.Serializer[Any]


@extend_schema_field({"enum": [str(state) for state in RunState], "type": "string"})
class RunStatus(serializers.CharField):
    pass


@extend_schema_field({"enum": [str(state) for state in StepState], "type": "string"})
class StepStatus(serializers.CharField):
    pass


@extend_schema_field({"enum": [str(lane) for lane in Lane], "type": "string"})
class LaneName(serializers.CharField):
    pass


class FaultAnswer(Answer):
    path = serializers.CharField(help_text="Where, in the document that was sent; empty: the whole of it.")
    message = serializers.CharField()


class Problem(Answer):
    """RFC 9457."""

    type = serializers.CharField(help_text="urn:erip:problem:<code>")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField(help_text="A slug that programs compare.")
    faults = FaultAnswer(many=True, required=False)


_WARNINGS = "What is valid and may not be meant, such as a timeout that is shorter than its steps. Absent: nothing."


class Published(Answer):
    name = serializers.CharField()
    version = serializers.IntegerField()
    hash = serializers.CharField(help_text="SHA-256 of the definition's canonical JSON.")
    warnings = FaultAnswer(many=True, required=False, help_text=_WARNINGS)


class Validated(Answer):
    valid = serializers.BooleanField()
    name = serializers.CharField()
    lane = LaneName()
    steps = serializers.ListField(child=serializers.CharField(), help_text="In an order in which they may run.")
    warnings = FaultAnswer(many=True, required=False, help_text=_WARNINGS)


class WorkflowListed(Answer):
    name = serializers.CharField()
    description = serializers.CharField()
    version = serializers.IntegerField(help_text="The latest.")
    hash = serializers.CharField()
    lane = LaneName()
    created_at = serializers.DateTimeField()
    published_at = serializers.DateTimeField(help_text="When the latest version was published.")


class VersionListed(Answer):
    version = serializers.IntegerField()
    hash = serializers.CharField()
    author = serializers.CharField()
    created_at = serializers.DateTimeField()


class Workflow(WorkflowListed):
    versions = VersionListed(many=True, help_text="The latest 100, newest first.")


class WorkflowVersion(VersionListed):
    name = serializers.CharField()
    media = serializers.CharField(help_text="The language of `source`: yaml or json.")
    source = serializers.CharField(help_text="As it was published.")  # type: ignore[assignment]
    definition = JsonObject()


class WorkflowPage(Answer):
    items = WorkflowListed(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class RunStarted(Answer):
    id = serializers.UUIDField()
    workflow = serializers.CharField()
    version = serializers.IntegerField()
    status = RunStatus()
    lane = LaneName()
    business_key = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    existing = serializers.BooleanField(help_text="An earlier request with this Idempotency-Key started it.")


class RunRetried(RunStarted):
    retry_of = serializers.UUIDField()


class BatchPreview(Answer):
    operation = serializers.CharField()
    dry_run = serializers.BooleanField(help_text="true")
    count = serializers.IntegerField(help_text="How many runs the operation would be done to now.")
    by_workflow = serializers.DictField(child=serializers.IntegerField())
    by_status = serializers.DictField(child=serializers.IntegerField())


class BatchListed(Answer):
    id = serializers.UUIDField()
    operation = serializers.ChoiceField(sorted(OPERATIONS))
    status = serializers.ChoiceField(
        ["working", "waiting", "done"], help_text="waiting: it goes on by itself; `waits_for` says when."
    )
    count = serializers.IntegerField(help_text="Runs.")
    filter = JsonObject()
    reason = serializers.CharField()
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    waits_for = serializers.CharField(allow_null=True)


class Batch(BatchListed):
    outcomes = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="How many runs have each outcome; `pending`: none yet. Those of no run are left out.",
    )


class BatchPage(Answer):
    items = BatchListed(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class BatchRun(Answer):
    run = serializers.UUIDField()
    outcome = serializers.ChoiceField(sorted(OUTCOMES))
    result = serializers.UUIDField(allow_null=True, help_text="Of a retry: the new run.")
    detail = serializers.CharField(allow_null=True)
    at = serializers.DateTimeField(allow_null=True)


class BatchRunPage(Answer):
    items = BatchRun(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class BulkStarted(Answer):
    count = serializers.IntegerField()
    ids = serializers.ListField(child=serializers.UUIDField(), help_text="In the order of the inputs.")


class RunListed(Answer):
    id = serializers.UUIDField()
    workflow = serializers.CharField()
    version = serializers.IntegerField()
    status = RunStatus()
    lane = LaneName()
    business_key = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    deadline_at = serializers.DateTimeField(allow_null=True, help_text="When it is given up; null: never.")
    started_by = serializers.CharField()
    error = AnyJson()
    retry_of = serializers.UUIDField(allow_null=True, help_text="The run that it is a retry of.")
    retried_as = serializers.UUIDField(allow_null=True, help_text="The run that is its retry.")


class RunPage(Answer):
    items = RunListed(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class ItemCounts(Answer):
    total = serializers.IntegerField()
    by_status = serializers.DictField(
        child=serializers.IntegerField(), help_text="How many items are in each status; those with none are left out."
    )


class StepItem(Answer):
    item = serializers.IntegerField(help_text="Its place in the list, from 0.")
    status = StepStatus()
    attempt = serializers.IntegerField()
    worker = serializers.CharField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    input = AnyJson()
    output = AnyJson()
    error = AnyJson()


class StepItemPage(Answer):
    items = StepItem(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class Step(Answer):
    id = serializers.CharField()
    item = serializers.IntegerField(allow_null=True)
    kind = serializers.CharField(help_text="The kind of step: task, foreach, wait.")
    uses = serializers.CharField(allow_null=True, help_text="The registered step that workers run for it, if any.")
    needs = serializers.ListField(child=serializers.CharField())
    status = StepStatus()
    attempt = serializers.IntegerField()
    worker = serializers.CharField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    input = AnyJson()
    output = AnyJson()
    error = AnyJson()
    essential = serializers.BooleanField()
    items = ItemCounts(allow_null=True, help_text="Of a step with `foreach` that has begun.")
    due_at = serializers.DateTimeField(allow_null=True, help_text="When it goes on by itself, while it waits.")
    waits_for = serializers.CharField(allow_null=True, help_text="What it waits for, in one sentence.")


class Run(RunListed):
    input = JsonObject()
    output = AnyJson()
    steps = Step(many=True, help_text="In the order of the definition.")


class Waits(Answer):
    step = serializers.CharField()
    item = serializers.IntegerField(allow_null=True)
    status = StepStatus()
    waits_for = serializers.ChoiceField(
        ["steps", "worker", "attempt", "retry", "time", "signal", "items", "person", "resumption"],
        help_text="What it waits for.",
    )
    sentence = serializers.CharField(help_text="All of it, in one sentence.")
    since = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(
        allow_null=True,
        help_text="When it goes on by itself: at the latest, or for a queue as estimated; null: unknown, or never.",
    )
    lane = LaneName(allow_null=True)
    ahead = serializers.IntegerField(
        allow_null=True, help_text="Of a queue: how many steps are served before it. Each queue is counted up to 1,000."
    )
    limit = serializers.CharField(allow_null=True, help_text="The limit that holds, in words.")
    worker = serializers.CharField(allow_null=True)


class Explanation(Answer):
    id = serializers.UUIDField()
    status = RunStatus()
    lane = LaneName()
    summary = serializers.CharField(help_text="The run's state and deadline, in a sentence or two.")
    deadline_at = serializers.DateTimeField(allow_null=True)
    waits = Waits(
        many=True,
        help_text=(
            "Every step that has not ended, in the order of the definition. Of a step with `foreach` also the first 10 "
            "items that run, rest or are unclear, and the first that is ready."
        ),
    )


class Signalled(Answer):
    id = serializers.UUIDField(help_text="The run's.")
    status = serializers.ChoiceField(
        ["given", "kept"], help_text="given: a step waited for it and goes on. kept: the first that will wait takes it."
    )
    step = serializers.CharField(allow_null=True, help_text="The step that it was given to.")
    run = Run(allow_null=True, help_text="With `Prefer: wait`: the run, and so what it did of the signal.")


class RunningStep(Answer):
    run = serializers.UUIDField()
    workflow = serializers.CharField()
    business_key = serializers.CharField(allow_null=True, help_text="The run's.")
    step = serializers.CharField()
    item = serializers.IntegerField(allow_null=True)
    started_at = serializers.DateTimeField()


class Worker(Answer):
    name = serializers.CharField()
    host = serializers.CharField()
    pid = serializers.IntegerField(help_text="Of its process.")
    alive = serializers.BooleanField(
        help_text="It was heard of within `ERIP_LEASE_SECONDS`; the steps of one that was not soon run elsewhere."
    )
    lanes = serializers.ListField(child=LaneName(), help_text="Most urgent first; none: it only finishes what it has.")
    started_at = serializers.DateTimeField()
    heard_at = serializers.DateTimeField(help_text="Its last heartbeat.")
    lacks = serializers.ListField(
        child=serializers.CharField(),
        help_text="Steps of published workflows that it leaves to other workers.",
    )
    running = serializers.IntegerField(help_text=f"How many steps it runs now, counted up to {COUNTED:,}.")
    steps = RunningStep(many=True, help_text="The 20 of these that have run for the longest time, longest first.")


class WorkerList(Answer):
    items = Worker(many=True)


class UnknownStep(Answer):
    run = serializers.UUIDField()
    workflow = serializers.CharField()
    business_key = serializers.CharField(allow_null=True, help_text="The run's.")
    run_status = RunStatus()
    lane = LaneName()
    step = serializers.CharField()
    item = serializers.IntegerField(allow_null=True)
    uses = serializers.CharField(allow_null=True, help_text="The registered step; null: no longer known.")
    attempt = serializers.IntegerField()
    worker = serializers.CharField(allow_null=True, help_text="Which ran it.")
    started_at = serializers.DateTimeField(allow_null=True)
    error = AnyJson()


class UnknownStepPage(Answer):
    items = UnknownStep(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class Event(Answer):
    at = serializers.DateTimeField()
    type = serializers.CharField()
    step = serializers.CharField(allow_null=True)
    item = serializers.IntegerField(allow_null=True)
    attempt = serializers.IntegerField(allow_null=True)
    worker = serializers.CharField(allow_null=True)
    detail = AnyJson()


class EventList(Answer):
    items = Event(many=True)


class StepType(Answer):
    name = serializers.CharField()
    summary = serializers.CharField()
    timeout = serializers.FloatField(help_text="Seconds.")
    idempotent = serializers.BooleanField()
    transactional = serializers.BooleanField()
    input = JsonObject(help_text="JSON Schema.")
    output = JsonObject(help_text="JSON Schema.")


class StepTypeList(Answer):
    items = StepType(many=True)
