"""Worker processes and their heartbeats. Leases are per worker: the steps of a silent worker are claimed anew."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from erip.foundation.db.json import JsonField


class Worker(models.Model):
    """One life of one worker process: a restarted worker is a new row."""

    name = models.CharField(max_length=200)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    lanes = models.CharField(max_length=100, help_text="The lanes it serves, most urgent first, comma-separated.")
    started_at = models.DateTimeField(db_default=Now())
    #: by the database's clock, which is the authority for leases
    heartbeat_at = models.DateTimeField(db_default=Now())
    stopped_at = models.DateTimeField(null=True)
    rate = models.FloatField(null=True, help_text="Ready steps that it takes in a second, measured while more waited.")

    level = models.PositiveSmallIntegerField(
        default=1, db_default=1, help_text="The format level of definitions that it reads."
    )
    #: `version id` and `step`, as `workflows.store.lacking` writes them
    lacks = ArrayField(
        models.TextField(),
        default=list,
        db_default=models.Value([], output_field=ArrayField(models.TextField())),
        help_text="Steps of published versions that it does not have, and leaves to others.",
    )

    steps = JsonField(
        null=True, help_text="The registered steps that it knows, by name; null: a release that does not say it."
    )

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["heartbeat_at"], name="worker_alive", condition=models.Q(stopped_at__isnull=True))
        ]

    def __str__(self) -> str:
        return self.name
