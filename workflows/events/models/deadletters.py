"""Events that could not take effect: they are kept until somebody retries them or gives them up."""

from django.db import models
from django.db.models.functions import Now


class DeadLetter(models.Model):
    at = models.DateTimeField(db_default=Now())
    partition = models.PositiveIntegerField()
    position = models.BigIntegerField(null=True, help_text="In the log; null if it could not even be logged.")
    logged_at = models.DateTimeField(null=True)
    block = models.BigIntegerField(null=True, help_text="The journal's block that it came in.")
    offset = models.PositiveIntegerField(null=True, help_text="Its place in that block.")
    type = models.TextField()
    source = models.TextField()
    subject = models.TextField(null=True)
    event_id = models.TextField()
    event = models.TextField(help_text="The whole CloudEvent, in structured JSON.")
    sender = models.TextField(null=True, help_text="The principal who sent it, if that is known.")
    effect = models.TextField(help_text="What failed: the name of an effect, or `log`.")
    target = models.TextField(null=True, help_text="Within the effect: a trigger's name, for example.")
    code = models.CharField(max_length=60)
    message = models.TextField()
    attempts = models.PositiveIntegerField(db_default=1)
    resolution = models.CharField(max_length=10, null=True, help_text="retried or discarded")
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.CharField(max_length=200, null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["-id"], name="deadletter_open", condition=models.Q(resolved_at__isnull=True)),
        ]
        constraints = [
            models.CheckConstraint(
                name="deadletter_resolved",
                condition=models.Q(resolution__isnull=True, resolved_at__isnull=True, resolved_by__isnull=True)
                | models.Q(
                    resolution__in=["retried", "discarded"], resolved_at__isnull=False, resolved_by__isnull=False
                ),
            )
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"
