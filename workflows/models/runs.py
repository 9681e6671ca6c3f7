"""Runs and their steps: the hot tables. Every step pays for every index, so each index says what it is for."""

import uuid
from typing import Any

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Coalesce, Left, Now

from erip.foundation.db.json import JsonField
from erip.foundation.db.triggers import Firm
from workflows.core.machine import NO_ITEM
from workflows.core.states import RUN_ENDS, STEP_ENDS, Lane, RunState, StepState


def _choices(states: Any) -> list[tuple[str, str]]:
    return [(str(state), str(state)) for state in states]


class RunColumns(models.Model):
    """What is known of a run, wherever it is kept."""

    #: UUIDv7, so that ids sort by their time and new rows go to the end of the index
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workflow = models.CharField(max_length=63)
    business_key = models.CharField(max_length=200, null=True, blank=True)
    lane = models.CharField(max_length=8, choices=_choices(Lane))
    state = models.CharField(max_length=12, choices=_choices(RunState))
    input = JsonField()
    output = JsonField(null=True)
    error = JsonField(null=True)
    started_by = models.CharField(max_length=200)
    #: whether someone waits for its end. Only then is the end announced with NOTIFY, which is not free.
    notify = models.BooleanField(default=False, db_default=False)
    #: raised by every change of the run or its steps (see Note [What a worker knows] in `store`)
    seq = models.BigIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.workflow} {self.id}"


#: characters of an error's code that are compared: a longer one would not fit in an index
CODE_SHOWN = 100
#: The code of what went wrong: of the step that failed, else of the run itself. `store/filters` has it in SQL.
ERROR_CODE = Left(
    Coalesce(KeyTextTransform("code", KeyTransform("cause", "error")), KeyTextTransform("code", "error")), CODE_SHOWN
)


class WorkflowRun(RunColumns):
    """One run of a workflow version."""

    # Without a constraint, as it would be looked up for each run that is accepted: versions cannot be deleted.
    version = models.ForeignKey(
        "WorkflowVersion", models.PROTECT, related_name="runs", db_index=False, db_constraint=False
    )

    class Meta:
        ordering = ["-id"]
        permissions = [
            ("start_run", "Can start runs"),
            ("cancel_run", "Can cancel runs"),
            ("pause_run", "Can pause and resume runs"),
            ("retry_run", "Can start failed runs once more"),
            ("signal_run", "Can send signals to runs"),
            ("resolve_step", "Can say how a step of unknown outcome ended"),
            ("pause_workflow", "Can pause and resume workflows and lanes"),
        ]
        indexes = [
            # lists of one workflow's runs, newest first
            models.Index(fields=["workflow", "-id"], name="run_workflow"),
            # "the run for this incident", and all whose key begins alike: compared byte by byte, whatever the locale
            models.Index(
                fields=["business_key", "-id"],
                name="run_key",
                opclasses=["varchar_pattern_ops", "uuid_ops"],
                condition=Q(business_key__isnull=False),
            ),
            # what failed with this code, newest first. By `error` and not by `state`: PostgreSQL can update a row in
            # place (HOT) only if no column of any index changes, and every claim changes the state.
            models.Index(ERROR_CODE, F("id").desc(), name="run_error", condition=Q(error__isnull=False)),
            # the leader's search for runs that missed their deadline
            models.Index(
                fields=["deadline_at"],
                name="run_deadline",
                condition=Q(deadline_at__isnull=False, finished_at__isnull=True),
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(lane__in=[str(lane) for lane in Lane]), name="run_lane"),
            models.CheckConstraint(condition=Q(state__in=[str(state) for state in RunState]), name="run_state"),
            models.CheckConstraint(
                condition=Q(state__in=sorted(RUN_ENDS), finished_at__isnull=False)
                | (~Q(state__in=sorted(RUN_ENDS)) & Q(finished_at__isnull=True)),
                name="run_ended_or_not",
            ),
        ]
        triggers = [
            # Who started a run does not approve it, and its version says who is asked. After, and of these columns: a
            # trigger before an update would lock each row once more.
            Firm(
                name="run_start_kept",
                when=pgtrigger.After,
                operation=pgtrigger.UpdateOf("started_by", "version_id"),  # type: ignore[no-untyped-call]
                condition=pgtrigger.Condition(
                    "OLD.started_by IS DISTINCT FROM NEW.started_by OR OLD.version_id IS DISTINCT FROM NEW.version_id"
                ),
                func="RAISE EXCEPTION 'who started a run, and what it runs, cannot be changed';",
            )
        ]


class StepColumns(models.Model):
    """What is known of a step, or of an item of a fan-out, wherever it is kept."""

    pk = models.CompositePrimaryKey("run_id", "step", "item")
    step = models.CharField(max_length=63)
    item = models.IntegerField(default=NO_ITEM, db_default=NO_ITEM)
    state = models.CharField(max_length=9, choices=_choices(StepState))
    #: where it queues; a step that is not essential queues in a less urgent lane than its run
    lane = models.CharField(max_length=8, choices=_choices(Lane))
    #: claims so far, and so the fencing token of the running claim
    attempt = models.PositiveIntegerField(default=0, db_default=0)
    failures = models.PositiveIntegerField(default=0, db_default=0)
    lost = models.PositiveIntegerField(default=0, db_default=0)
    worker = models.ForeignKey("workflows.Worker", models.DO_NOTHING, null=True, db_constraint=False, db_index=False)
    input = JsonField(null=True)
    output = JsonField(null=True)
    error = JsonField(null=True)
    #: of a fan-out's own row (item -1): how many items it has
    items = models.PositiveIntegerField(null=True)
    ready_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    #: when the reconciler last published it again
    hinted_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return ":".join(str(part) for part in self.pk)


class StepRun(StepColumns):
    """One step of one run, or one item of a fan-out, from the moment when it may run.

    A step without a row is PENDING. An item that waits for a place has a row, with its input, and is PENDING.
    """

    # Without a constraint, as it would be looked up for each step: whoever writes steps has inserted their run in the
    # same transaction, or holds its lock.
    run = models.ForeignKey(WorkflowRun, models.CASCADE, related_name="steps", db_index=False, db_constraint=False)

    class Meta:
        indexes = [
            # steps that may be claimed, lane by lane, oldest first
            models.Index(fields=["lane", "ready_at"], name="step_ready", condition=Q(state="READY")),
            # steps that a lost worker left behind
            models.Index(fields=["worker"], name="step_running", condition=Q(state="RUNNING")),
            # steps that are due; one that waits for a signal may have no due time
            models.Index(fields=["lane", "due_at"], name="step_due", condition=Q(state="WAITING")),
            # steps that wait for a person, who has to say how they ended: few, and most of the time none
            models.Index(fields=["run", "step", "item"], name="step_unknown", condition=Q(state="UNKNOWN")),
            # which items come next; a step that is no fan-out is never in it
            models.Index(
                fields=["run", "step", "item"],
                name="step_open_items",
                condition=Q(state__in=["PENDING", "READY"], item__gte=0),
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(lane__in=[str(lane) for lane in Lane]), name="step_lane"),
            models.CheckConstraint(condition=Q(state__in=[str(state) for state in StepState]), name="step_state"),
            models.CheckConstraint(
                condition=~Q(state="RUNNING")
                | Q(worker__isnull=False, started_at__isnull=False, attempt__gte=1)
                | Q(items__isnull=False, started_at__isnull=False),
                name="step_running_is_owned",
            ),
            models.CheckConstraint(condition=~Q(state="READY") | Q(ready_at__isnull=False), name="step_ready_since"),
            models.CheckConstraint(
                condition=~Q(state__in=sorted(STEP_ENDS)) | Q(finished_at__isnull=False), name="step_ended_at"
            ),
            models.CheckConstraint(condition=Q(item__gte=NO_ITEM), name="step_item"),
            models.CheckConstraint(condition=Q(items__isnull=True) | Q(item=NO_ITEM), name="step_items"),
        ]
        triggers = [
            # An approval is given by its task, whose votes the database counts (`approvals`). An approval's step is one
            # that its definition calls so; or, as a definition need not be read for them, it succeeds without an
            # attempt and says what it guards. Looked at after the statement that writes both.
            # The state is looked at first: a step that has not just succeeded pays for nothing else. One that has pays
            # for a look into its output, which no other column can spare it: whoever forges an approval writes those,
            # too. Of a small output that is 0.2 µs of a processor, of 3.3 for the bare UPDATE; a large one is read.
            Firm(
                name="step_approved",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.Update,
                timing=pgtrigger.Deferred,
                condition=pgtrigger.Condition("NEW.state = 'SUCCEEDED' AND NEW.output @> '{\"approved\": true}'"),
                func="""
                    IF NOT EXISTS (SELECT FROM workflows_approvaltask t WHERE t.run_id = NEW.run_id
                                   AND t.step = NEW.step AND t.outcome = 'approved')
                       AND (NEW.attempt = 0 AND NEW.output ? 'guards' OR EXISTS (
                            SELECT FROM workflows_workflowrun r JOIN workflows_workflowversion w ON w.id = r.version_id
                            WHERE r.id = NEW.run_id AND w.document -> 'steps' -> NEW.step ? 'approval')) THEN
                        RAISE EXCEPTION 'the approval was not given';
                    END IF;
                    RETURN NEW;
                """,
            )
        ]
