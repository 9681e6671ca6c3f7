"""Schedules, what they said, and what became of each of their moments.

schedules_schedule          a schedule by name, and where it stands
schedules_scheduleversion   what it said, who said so and when: never changed
schedules_scheduledstart    one row for each moment: the run that it started, or why none
"""

import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from erip.foundation.db.json import JsonField
from erip.foundation.db.triggers import Protect


class Schedule(models.Model):
    """A schedule by name. What it says is in its latest version."""

    name = models.CharField(max_length=63, unique=True)
    latest = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    #: the first moment that was not decided on yet, and when it is due (`jitter` makes it later); null: there is none
    next_at = models.DateTimeField(null=True)
    next_start_at = models.DateTimeField(null=True)
    #: who paused it, when and why; null: it is not paused
    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=200, blank=True, db_default="")
    paused_reason = models.CharField(max_length=1000, blank=True, db_default="")
    #: its last resumption or change: failures before it do not count for `pause_on_failure`
    counted_from = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["name"]
        indexes = [
            models.Index(fields=["next_start_at"], name="schedule_due", condition=Q(paused_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.name


class ScheduleVersion(models.Model):
    """One version of a schedule. Immutable: a change, even a deletion, is the next version."""

    schedule = models.ForeignKey(Schedule, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    document = JsonField()
    description = models.TextField(blank=True)
    deleted = models.BooleanField(default=False, db_default=False)
    author = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["schedule", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["schedule", "number"], name="schedule_version_once"),
            models.CheckConstraint(condition=Q(number__gte=1), name="schedule_version_from_1"),
        ]
        triggers = [Protect(name="schedule_immutable", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.schedule.name} v{self.number}"


class Outcome(models.TextChoices):
    """What became of a moment."""

    STARTING = "STARTING", "is about to start"
    WAITING = "WAITING", "waits for the run before"
    STARTED = "STARTED", "started a run"
    SKIPPED = "SKIPPED", "was left out"
    FAILED = "FAILED", "could not be started"


class Cause(models.TextChoices):
    """Why there is such a moment."""

    PLANNED = "planned"
    CAUGHT_UP = "caught_up"
    BACKFILL = "backfill"
    MANUAL = "manual"


class ScheduledStart(models.Model):
    """One moment of a schedule."""

    schedule = models.ForeignKey(Schedule, models.PROTECT, related_name="starts")
    at = models.DateTimeField()
    #: for moments that were left out together: the last one is not later than this
    until = models.DateTimeField(null=True)
    #: the version that decided on it, and that the run is started by
    version = models.PositiveIntegerField()
    cause = models.CharField(max_length=10, choices=Cause)
    outcome = models.CharField(max_length=10, choices=Outcome)
    reason = models.CharField(max_length=400, blank=True, db_default="")
    run_id = models.UUIDField(null=True)
    by = models.CharField(max_length=200, blank=True, db_default="", help_text="Who asked for it; empty: the schedule.")
    decided_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-at"]
        constraints = [
            # Two leaders that decide on the same moment: the second one's row is refused.
            models.UniqueConstraint(fields=["schedule", "at"], name="scheduled_start_once"),
            models.CheckConstraint(
                name="scheduled_start_has_run",
                condition=Q(outcome="STARTED", run_id__isnull=False) | (~Q(outcome="STARTED") & Q(run_id__isnull=True)),
            ),
        ]
        indexes = [
            models.Index(fields=["id"], name="start_open", condition=Q(outcome__in=["STARTING", "WAITING"])),
        ]

    def __str__(self) -> str:
        return f"{self.schedule.name} {self.at.isoformat()}"
