"""The registry of event types. A version of a type never changes: the database refuses it."""

import pgtrigger
from django.db import models
from django.db.models.functions import Now

from erip.foundation.db.json import JsonField
from erip.foundation.db.triggers import Protect


class EventType(models.Model):
    """A type of events by name. What its data is like is in its versions."""

    name = models.CharField(max_length=250, unique=True)
    latest = models.PositiveIntegerField(default=0, help_text="Number of the version that events are checked against.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class EventTypeVersion(models.Model):
    """One JSON Schema of a type's data. Immutable; the next version accepts all that this one accepts."""

    type = models.ForeignKey(EventType, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    content_hash = models.CharField(max_length=64, help_text="SHA-256 of the canonical JSON of description and schema.")
    description = models.TextField(blank=True)
    schema = JsonField(help_text="JSON Schema of the events' `data`.")
    author = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["type", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["type", "number"], name="event_type_version_once"),
            models.CheckConstraint(condition=models.Q(number__gte=1), name="event_type_version_from_1"),
        ]
        triggers = [Protect(name="event_type_immutable", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.type.name} v{self.number}"
