"""What happened to a run and cannot be read from its rows: failed attempts, lost workers, people's decisions."""

from django.db import models
from django.db.models.functions import Now

from erip.foundation.db.json import JsonField
from workflows.core.machine import NO_ITEM


class EventColumns(models.Model):
    """What is known of an event, wherever it is kept."""

    at = models.DateTimeField(db_default=Now())
    type = models.CharField(max_length=40)
    step = models.CharField(max_length=63, null=True)
    item = models.IntegerField(default=NO_ITEM, db_default=NO_ITEM)
    attempt = models.PositiveIntegerField(null=True)
    detail = JsonField(default=dict)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.type} {self.step or ''}".strip()


class RunEvent(EventColumns):
    """Written in the transaction of the change that it reports. The ordinary events (accepted, started, succeeded) are
    derived from the rows when they are read: they cost nothing to write (see `queries.run_events`)."""

    run = models.ForeignKey("WorkflowRun", models.CASCADE, related_name="events", db_index=False)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["run", "id"], name="event_run")]
