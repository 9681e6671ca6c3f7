"""Workflow definitions and their versions. A version never changes: the database refuses it."""

import pgtrigger
from django.db import models

from erip.foundation.db.json import JsonField
from erip.foundation.db.triggers import Protect


class WorkflowDefinition(models.Model):
    """A workflow by name. What it does is in its versions."""

    name = models.CharField(max_length=63, unique=True)
    latest = models.PositiveIntegerField(default=0, help_text="Number of the version that new runs take.")
    space = models.CharField(
        max_length=63, blank=True, default="", db_default="", help_text="Note [Spaces]. Empty: in none."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class WorkflowVersion(models.Model):
    """One published content of a definition. Immutable: a change is the next version."""

    definition = models.ForeignKey(WorkflowDefinition, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    content_hash = models.CharField(max_length=64, help_text="SHA-256 of the canonical JSON of the document.")
    source = models.TextField(help_text="As it was published, comments and all.")
    media = models.CharField(max_length=4, choices=[("yaml", "YAML"), ("json", "JSON")])
    document = JsonField(help_text="The parsed source.")
    author = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["definition", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["definition", "number"], name="version_number_once"),
            models.CheckConstraint(condition=models.Q(number__gte=1), name="version_number_from_1"),
        ]
        triggers = [Protect(name="version_immutable", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.definition.name} v{self.number}"
