"""What was scaled, and why."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now


class ScalingEvent(models.Model):
    """One change of a number of replicas. Written before it is carried out: the cooldown must not be forgotten."""

    class Direction(models.TextChoices):
        UP = "up"
        DOWN = "down"

    #: by the database's clock, which decides the cooldown
    at = models.DateTimeField(db_default=Now())
    target = models.CharField(max_length=200, help_text="What was scaled.")
    direction = models.CharField(max_length=4, choices=Direction.choices)
    before = models.PositiveIntegerField()
    after = models.PositiveIntegerField()
    emergency = models.BooleanField(default=False, help_text="For critical work, in spite of the cooldown.")
    reason = models.CharField(max_length=300)
    measures = models.JSONField(default=dict, help_text="What was measured.")
    error = models.TextField(default="", blank=True, help_text="Why it could not be carried out; empty if it was.")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["target", "direction", "-at"], name="scaling_latest")]
        constraints = [
            models.CheckConstraint(
                name="scaling_direction",
                condition=Q(direction="up", after__gt=F("before")) | Q(direction="down", after__lt=F("before")),
            )
        ]

    def __str__(self) -> str:
        return f"{self.target} {self.before} → {self.after}"
