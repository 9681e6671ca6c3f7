"""Who is notified, and who has been notified."""

from django.core.exceptions import ValidationError
from django.db import models

from workflows.library.models.fields import words
from workflows.library.notify.addresses import fault


class NotificationTarget(models.Model):
    """Where notify.send sends what names no recipient of its own."""

    class Kind(models.TextChoices):
        EMAIL = "email", "e-mail"
        WEBHOOK = "webhook", "webhook"

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    address = models.CharField(max_length=500, help_text="an e-mail address, or an https URL")
    workflows = words("workflows whose messages it wants; [] is all")
    enabled = models.BooleanField(default=True)

    class Meta:
        verbose_name = "notification target"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        found = fault(self.kind, self.address)
        if found:
            raise ValidationError({"address": found})


class Delivery(models.Model):
    """A message that was handed over: a later attempt of the same step does not send it again."""

    idempotency_key = models.CharField(max_length=300)
    target = models.CharField(max_length=520)
    detail = models.CharField(max_length=300, blank=True)
    sent_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["-sent_at"]
        constraints = [models.UniqueConstraint(fields=["idempotency_key", "target"], name="delivery_once")]

    def __str__(self) -> str:
        return f"{self.idempotency_key} → {self.target}"
