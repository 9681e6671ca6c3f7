"""Batches: one operation on many runs, and what became of each. And lineage: which run is the retry of which.

`workflows.operations` describes what they are for; `workflows.store.batches` changes them.
"""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class RunBatch(models.Model):
    """One operation on all runs that matched a filter at one moment."""

    id = models.UUIDField(primary_key=True, editable=False)
    #: a name of `workflows.operations`
    operation = models.CharField(max_length=20)
    #: what was asked for, for people to read: the runs themselves are the rows of BatchRun
    filter = models.JSONField()
    reason = models.CharField(max_length=1000, blank=True, db_default="")
    total = models.PositiveIntegerField()
    #: of its runs, each once: they say in which spaces it is; null: a release that did not note them accepted it
    workflows = ArrayField(models.CharField(max_length=63), null=True, editable=False)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())
    #: when each of its runs had an outcome
    finished_at = models.DateTimeField(null=True)
    #: it goes on no sooner than this, and why
    not_before = models.DateTimeField(null=True)
    waits_for = models.CharField(max_length=400, null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "batch"
        verbose_name_plural = "batches"
        indexes = [
            # what is still to be done: looked up several times a second
            models.Index(fields=["id"], name="batch_open", condition=Q(finished_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.id}"


class BatchRun(models.Model):
    """One run of a batch. Without foreign keys: there may be 100,000, and the run may leave for the archive."""

    pk = models.CompositePrimaryKey("batch_id", "run_id")
    batch = models.ForeignKey(RunBatch, models.DO_NOTHING, related_name="runs", db_index=False, db_constraint=False)
    run_id = models.UUIDField()
    #: a name of the operation's outcomes; null: still to be done
    outcome = models.CharField(max_length=20, null=True)
    #: the run that came of it, or had come of it before
    result = models.UUIDField(null=True)
    detail = models.CharField(max_length=400, null=True)
    at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["run_id"]
        indexes = [
            # the next runs to work on, and lists of one outcome
            models.Index(fields=["batch", "outcome", "run_id"], name="batch_outcome"),
        ]
        constraints = [
            models.CheckConstraint(
                name="batch_run_done_or_not",
                condition=Q(outcome__isnull=True, at__isnull=True) | Q(outcome__isnull=False, at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.run_id}: {self.outcome or 'pending'}"


class RunRetry(models.Model):
    """Which run is the retry of which. The primary key lets each run be retried once, whoever asks at the same time;
    who wants another retry retries the last one of the chain. Without foreign keys: runs leave for the archive."""

    retry_of = models.UUIDField(primary_key=True)
    retried_as = models.UUIDField(unique=True)
    by = models.CharField(max_length=200)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(name="retry_of_another", condition=~Q(retry_of=models.F("retried_as"))),
        ]

    def __str__(self) -> str:
        return f"{self.retry_of} → {self.retried_as}"


def retry_of(run_id: Any) -> Any:
    """The run that this one is a retry of, as a UUID; None: it is none."""
    return RunRetry.objects.filter(retried_as=run_id).values_list("retry_of", flat=True).first()


def retried_as(run_id: Any) -> Any:
    """The run that is this one's retry, as a UUID; None: it has none."""
    return RunRetry.objects.filter(retry_of=run_id).values_list("retried_as", flat=True).first()
