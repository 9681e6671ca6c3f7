"""Runs that are paused: since when, by whom, and what their clocks do. See Note [Pause] in `engine/pausing`."""

from django.db import models
from django.db.models import Q


class RunPause(models.Model):
    """The pause of a run. The row goes when the run is resumed or archived: a run that ends while paused keeps it."""

    run = models.OneToOneField("WorkflowRun", models.CASCADE, primary_key=True, related_name="pause")
    since = models.DateTimeField()
    #: stop: what is left of each time is kept; go: times go on, and what became due meanwhile is due at once
    clock = models.CharField(max_length=4)
    #: seconds until the run's deadline, while its clock stands; None: it has no deadline
    deadline_in = models.FloatField(null=True)
    by = models.CharField(max_length=200)
    reason = models.TextField(blank=True)
    #: the id of the pause of its workflow or lane (`Hold`) that parked it; None: it was paused by itself
    hold = models.BigIntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["hold", "run"], name="pause_hold", condition=Q(hold__isnull=False))]
        constraints = [models.CheckConstraint(condition=Q(clock__in=["stop", "go"]), name="pause_clock")]

    def __str__(self) -> str:
        return f"{self.run_id} since {self.since}"
