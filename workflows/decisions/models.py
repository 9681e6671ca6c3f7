"""Decision tables, and what they said.

decisions_decisiontable     a table by name; its latest version is in force
decisions_decisionversion   what it said, who said so and when: never changed
"""

import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from erip.foundation.db.json import JsonField
from erip.foundation.db.triggers import Protect


class DecisionTable(models.Model):
    """A decision table by name. What it says is in its versions."""

    name = models.CharField(max_length=63, unique=True)
    latest = models.PositiveIntegerField(default=0, help_text="Number of the version that is in force.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "decision table"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class DecisionVersion(models.Model):
    """One published content of a table. Immutable: a change is the next version."""

    table = models.ForeignKey(DecisionTable, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    content_hash = models.CharField(max_length=64, help_text="SHA-256 of the canonical JSON of the document.")
    document = JsonField()
    author = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "decision table version"
        ordering = ["table", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["table", "number"], name="decision_number_once"),
            models.CheckConstraint(condition=Q(number__gte=1), name="decision_number_from_1"),
        ]
        triggers = [Protect(name="decision_immutable", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.table.name} v{self.number}"
