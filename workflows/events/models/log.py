"""The log of events: each accepted event once, in the order of its partition.

Partitioned by the month of `logged_at`; the table is made by hand in migration 0001, its months by
`workflows.events.store.months`. Positions are gap-free within a partition and are given in the order of commits.
"""

from django.db import models


class Event(models.Model):
    pk = models.CompositePrimaryKey("partition", "position")
    partition = models.PositiveIntegerField()
    position = models.BigIntegerField()
    logged_at = models.DateTimeField()
    accepted_at = models.DateTimeField()
    type = models.TextField()
    source = models.TextField()
    subject = models.TextField(null=True)
    event_id = models.TextField()
    event = models.TextField(help_text="The whole CloudEvent, in structured JSON.")
    #: the principal who sent it; null: the platform itself, or a release that did not record it accepted the event
    sender = models.TextField(null=True)

    class Meta:
        ordering = ["-logged_at", "partition", "-position"]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class LogEntry(models.Model):
    """A view of the same rows with a single-column key, which the admin needs."""

    id = models.TextField(primary_key=True)
    partition = models.PositiveIntegerField()
    position = models.BigIntegerField()
    logged_at = models.DateTimeField()
    accepted_at = models.DateTimeField()
    type = models.TextField()
    source = models.TextField()
    subject = models.TextField(null=True)
    event_id = models.TextField()
    event = models.TextField()
    sender = models.TextField(null=True)

    class Meta:
        managed = False
        db_table = "events_logentry"
        ordering = ["-logged_at", "-partition", "-position"]
        verbose_name = "logged event"

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"
