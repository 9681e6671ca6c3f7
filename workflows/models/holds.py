"""Pauses of a whole workflow or lane. See Note [Holds] in `engine/holds`."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Hold(models.Model):
    """A workflow or a lane that is paused, or was: the rows are kept as their history."""

    kind = models.CharField(max_length=8)
    name = models.CharField(max_length=63)
    since = models.DateTimeField(db_default=Now())
    #: of the runs that it parks: see `RunPause`
    clock = models.CharField(max_length=4)
    by = models.CharField(max_length=200)
    reason = models.TextField(blank=True)
    resumed_at = models.DateTimeField(null=True)
    resumed_by = models.CharField(max_length=200, null=True)
    #: when the last run that it had parked went on
    done_at = models.DateTimeField(null=True)
    #: how far the leader has looked for runs to park
    looked_to = models.UUIDField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "name"], condition=Q(resumed_at__isnull=True), name="hold_once"),
            models.CheckConstraint(condition=Q(kind__in=["workflow", "lane"]), name="hold_kind"),
            models.CheckConstraint(condition=Q(clock__in=["stop", "go"]), name="hold_clock"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
