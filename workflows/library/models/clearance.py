"""Decision tables. A version never changes: an edit is the next version (a trigger refuses anything else)."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from erip.foundation.db.json import JsonField
from workflows.library.clearance.table import Table, TableInvalid


class DecisionTable(models.Model):
    name = models.SlugField(max_length=60, unique=True)
    description = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "decision table"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


def a_table_that_decides(value: Any) -> None:
    try:
        Table.of(value)
    except TableInvalid as error:
        raise ValidationError([f"{fault}" for fault in error.faults]) from error


class DecisionVersion(models.Model):
    """The rows of a table, as they were published. The highest number is in force."""

    table = models.ForeignKey(DecisionTable, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    document = JsonField(validators=[a_table_that_decides])
    author = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "decision table version"
        ordering = ["table", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["table", "number"], name="decision_version_once"),
            models.CheckConstraint(condition=models.Q(number__gte=1), name="decision_version_number"),
        ]

    def __str__(self) -> str:
        return f"{self.table.name} v{self.number}"
