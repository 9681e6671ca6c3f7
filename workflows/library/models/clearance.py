"""The decision tables of the releases in which CLEARANCE had its own. They are `workflows.decisions`'s now.

Kept so that workers of the release before can go on while this one takes over: nothing writes them any more, and the
next release drops them.
"""

from typing import Any

from django.db import models

from erip.foundation.db.json import JsonField


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
    """Checked documents when they were written here. The first migration names it."""


class DecisionVersion(models.Model):
    """The rows of a table, as they were published."""

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
