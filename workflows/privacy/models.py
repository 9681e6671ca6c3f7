"""The keys that seal sensitive data of runs (Note [Sensitive data] in `core/sensitive`).

privacy_datakey   a key: of a person (by a fingerprint of what names them), or of a workflow. Destroying one leaves the
                  row, without the key
privacy_runkey    which key seals a run: written with the run, so it says which runs are about a person. What seals is
                  that key together with the run's own salt; without the salt the run cannot be opened any more
privacy_eventkey  which events are about a person: written with the event into the log. What seals an event follows from
                  the person's key, or that of its type, and from the event's identity
privacy_hold      legal holds: nothing that one names is removed, nor made unreadable, while it is in force
privacy_erasure   certificates of erasures and of what was removed after its time: never changed, never removed
"""

from typing import Any

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from erip.foundation.db.json import JsonField
from erip.foundation.db.triggers import Firm, Protect


class DataKey(models.Model):
    """A key. `subject` is None for the key of a workflow, whose runs name no person."""

    workflow = models.CharField(max_length=63, blank=True, default="", help_text="Of a key that is no person's.")
    subject = models.BinaryField(max_length=32, null=True, editable=False)
    wrapped = models.BinaryField(null=True, editable=False)
    wrapped_by = models.CharField(max_length=32, blank=True, default="", editable=False)
    created_at = models.DateTimeField(db_default=Now())
    destroyed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "data key"
        permissions = [
            ("open_data", "Can read sensitive data of runs and of persons"),
            ("erase_person", "Can erase a person's data for good"),
            ("view_register", "Can see which sensitive data workflows handle"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["subject"], name="datakey_person", condition=Q(subject__isnull=False, destroyed_at__isnull=True)
            ),
            models.UniqueConstraint(
                fields=["workflow"],
                name="datakey_workflow",
                condition=Q(subject__isnull=True, destroyed_at__isnull=True),
            ),
            models.CheckConstraint(
                name="datakey_destroyed_or_there",
                condition=Q(destroyed_at__isnull=True, wrapped__isnull=False)
                | Q(destroyed_at__isnull=False, wrapped__isnull=True),
            ),
        ]
        indexes = [
            # all keys that a person ever had: for erasures that are repeated, and for what was erased
            models.Index(fields=["subject"], name="datakey_subject", condition=Q(subject__isnull=False))
        ]
        triggers = [
            Firm(
                name="datakey_stays_destroyed",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.destroyed_at IS NOT NULL"),
                func="RAISE EXCEPTION 'a destroyed key stays destroyed';",
            )
        ]

    def __str__(self) -> str:
        return f"key {self.pk}"


class RunKey(models.Model):
    """The key of a run. A run whose start failed may have one, too."""

    run_id = models.UUIDField(primary_key=True)
    key = models.ForeignKey(DataKey, models.PROTECT, related_name="runs")
    #: None with `ended_at`: it was destroyed; without: a former release sealed the run with the key alone
    salt = models.BinaryField(max_length=32, null=True, editable=False)
    #: when the run's sensitive data was kept long enough
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "key of a run"

    def __str__(self) -> str:
        return str(self.run_id)


class EventKey(models.Model):
    """An event of the log that is sealed with a person's key, and its place there."""

    pk = models.CompositePrimaryKey("key", "partition", "position")
    key = models.ForeignKey(DataKey, models.PROTECT, related_name="events", db_index=False)
    partition = models.PositiveIntegerField()
    position = models.BigIntegerField()
    logged_at = models.DateTimeField()

    class Meta:
        verbose_name = "key of an event"

    def __str__(self) -> str:
        return f"{self.partition}-{self.position}"


class HoldQuerySet(models.QuerySet["Hold"]):
    def in_force(self) -> "HoldQuerySet":
        return self.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=Now()), ended_at__isnull=True)


class Hold(models.Model):
    """A legal hold: on a person's data, a run's, a workflow's, or everything; of some classes, and of a span of
    time."""

    subject = models.BinaryField(max_length=32, null=True, editable=False)
    workflow = models.CharField(max_length=63, blank=True, default="", db_default="")
    run_id = models.UUIDField(null=True)
    #: none: all of them
    classes = ArrayField(models.CharField(max_length=20), default=list, db_default=[])
    #: the time of the data that is held; None: from the first on, or to the last
    data_since = models.DateTimeField(null=True)
    data_until = models.DateTimeField(null=True)
    reason = models.CharField(max_length=1000)
    by = models.CharField(max_length=200)
    since = models.DateTimeField(db_default=Now())
    #: when it ends by itself
    ends_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=200, blank=True, default="")

    objects: Any = HoldQuerySet.as_manager()

    class Meta:
        verbose_name = "legal hold"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["subject"], name="person_hold_once", condition=Q(ended_at__isnull=True)),
            models.CheckConstraint(
                name="hold_of_one_thing",
                condition=Q(subject__isnull=True, workflow="")
                | Q(subject__isnull=True, run_id__isnull=True)
                | Q(workflow="", run_id__isnull=True),
            ),
        ]
        triggers = [
            Firm(
                name="hold_stays_ended",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.ended_at IS NOT NULL"),
                func="RAISE EXCEPTION 'a legal hold that has ended stays as it was';",
            )
        ]

    def __str__(self) -> str:
        return f"hold {self.pk}"


class Erasure(models.Model):
    """The certificate of an erasure, or of what was removed after its time."""

    certificate = JsonField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "erasure"
        ordering = ["-id"]
        triggers = [Protect(name="erasure_stays", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"erasure {self.pk}"
