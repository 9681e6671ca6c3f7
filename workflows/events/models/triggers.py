"""Stored rules, which supplement those of definitions; the runs that both kinds have started; and open windows.

events_trigger          a rule by name; changed by its next version only
events_triggerversion   what it said, who said so and when: never changed
events_triggeredrun     which event started which run, by which rule: an event starts a rule's run once
events_triggermark      until when a case of a rule with dedupe or debounce starts nothing (Note [Windows] in core)
"""

import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from erip.foundation.db.json import JsonField
from erip.foundation.db.triggers import Protect


class Trigger(models.Model):
    """A stored rule by name. What it says is in its latest version."""

    name = models.CharField(max_length=63, unique=True)
    latest = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class TriggerVersion(models.Model):
    """One version of a stored rule. Immutable: a change, even a deletion, is the next version."""

    trigger = models.ForeignKey(Trigger, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    workflow = models.CharField(max_length=63, help_text="The workflow whose runs it starts.")
    rule = JsonField(help_text="As one of a definition's `on`.")
    description = models.TextField(blank=True)
    enabled = models.BooleanField()
    deleted = models.BooleanField(default=False, db_default=False)
    author = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["trigger", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["trigger", "number"], name="trigger_version_once"),
            models.CheckConstraint(condition=Q(number__gte=1), name="trigger_version_from_1"),
            models.CheckConstraint(condition=Q(deleted=False) | Q(enabled=False), name="trigger_deleted_is_off"),
        ]
        triggers = [Protect(name="trigger_immutable", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.trigger.name} v{self.number}"


class TriggeredRun(models.Model):
    """A run that an event started."""

    pk = models.CompositePrimaryKey("event", "rule")
    event = models.UUIDField(help_text="The event's identity, as in `events_identity`.")
    rule = models.UUIDField(help_text="The rule's key.")
    trigger = models.CharField(max_length=200, help_text="Where the rule stands.")
    run_id = models.UUIDField()
    #: its place in the log
    partition = models.PositiveIntegerField()
    position = models.BigIntegerField()
    logged_at = models.DateTimeField()
    signalled = models.BooleanField(
        default=False, db_default=False, help_text="It gave a signal to the run, which others had started."
    )

    class Meta:
        indexes = [models.Index(fields=["run_id"], name="triggered_run")]

    def __str__(self) -> str:
        return f"{self.trigger} {self.run_id}"


class TriggerMark(models.Model):
    """A case whose window is open."""

    key = models.UUIDField(primary_key=True, help_text="Of the rule and the business key.")
    #: has no index: so making a window longer is an update in place; closed windows are swept once an hour
    until = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.key)
