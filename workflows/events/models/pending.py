"""Runs that events are gathered for (Note [Gathering] in `core/gathering`).

events_pendingstart     a run that is to start, and when
events_pendingevent     its events: of a rule with collect all of them, of one with debounce the last one
"""

from django.db import models

from erip.foundation.db.json import JsonField


class PendingStart(models.Model):
    """A run that is to start. The row goes when the run is started, or when its events become dead letters."""

    id = models.UUIDField(primary_key=True)
    #: null: it takes no more events
    case_key = models.UUIDField(null=True, unique=True, help_text="Of the rule and what tells its cases apart.")
    workflow = models.CharField(max_length=63)
    trigger = models.CharField(max_length=200, help_text="Where the rule stands.")
    rule = JsonField(help_text="The rule as it was when the first event came.")
    #: of the last event
    type = models.CharField(max_length=255, blank=True)
    business_key = models.CharField(max_length=200, null=True)
    #: how deep its run is in a chain of runs that start one another
    depth = models.PositiveIntegerField(default=1)
    count = models.PositiveIntegerField(default=0, help_text="Events so far.")
    size = models.PositiveIntegerField(default=0, help_text="Bytes that are kept of them.")
    since = models.DateTimeField()
    due_at = models.DateTimeField()
    problem = models.TextField(blank=True, default="", db_default="", help_text="Why it could not be started.")

    class Meta:
        ordering = ["due_at", "id"]
        indexes = [models.Index(fields=["due_at"], name="pending_due")]

    def __str__(self) -> str:
        return f"{self.workflow} at {self.due_at}"


class PendingEvent(models.Model):
    """An event that was gathered for a run."""

    pending = models.ForeignKey(PendingStart, models.CASCADE, related_name="events")
    event = models.UUIDField(help_text="The event's identity, as in `events_identity`.")
    rule = models.UUIDField(help_text="The rule's key.")
    #: its place in the log
    partition = models.PositiveIntegerField()
    position = models.BigIntegerField()
    logged_at = models.DateTimeField()
    value = models.TextField(help_text="What is kept of it, as JSON.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "rule"], name="pending_event_once")]

    def __str__(self) -> str:
        return f"{self.partition}-{self.position}"
