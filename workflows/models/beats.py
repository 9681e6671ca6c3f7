"""What long steps last said of themselves. See Note [Heartbeats] in `worker/beats`."""

from django.db import models

from erip.foundation.db.json import JsonField


class StepBeat(models.Model):
    """The last word of a step, or of an item, that has a heartbeat. It goes with its run into no archive."""

    pk = models.CompositePrimaryKey("run_id", "step", "item")
    run = models.ForeignKey("WorkflowRun", models.CASCADE, related_name="beats", db_index=False)
    step = models.CharField(max_length=63)
    item = models.IntegerField()
    #: which attempt said it; an earlier one never replaces it
    attempt = models.PositiveIntegerField()
    at = models.DateTimeField()
    progress = JsonField(null=True)
    cursor = JsonField(null=True)

    def __str__(self) -> str:
        return f"{self.step} of {self.run_id}"
