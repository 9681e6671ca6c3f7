"""Signals that came before a step waited for them. See Note [Signals] in `core/kinds/wait`."""

from django.db import models
from django.db.models.functions import Now


class RunSignal(models.Model):
    """A kept signal. The step that takes it deletes the row, in the transaction that records what the step did then."""

    run = models.ForeignKey("WorkflowRun", models.CASCADE, related_name="signals", db_index=False)
    #: made by the request that sent it
    key = models.CharField(max_length=36)
    name = models.CharField(max_length=63)
    payload = models.JSONField(null=True)
    sent_by = models.CharField(max_length=200)
    sent_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        # finds the signal that was kept first, for a step that begins to wait
        indexes = [models.Index(fields=["run", "name", "id"], name="signal_kept")]

    def __str__(self) -> str:
        return f"{self.name} to {self.run_id}"
