"""Who is notified of events, and how that went.

events_subscription     a webhook that is notified of events
events_delivery         an event that one of them is to be reported of, until some time after it was
events_deliveryattempt  each time that this was tried
events_streamedtype     lifecycle events that somebody has listened to lately: see `workflows.events.interest`
"""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Subscription(models.Model):
    """A webhook that is notified of events. Its secret is derived, not stored: Note [Webhook secrets] in `secrets`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    url = models.CharField(max_length=2048)
    types = ArrayField(models.CharField(max_length=255), help_text="Types of events; `*` at the end is any rest.")
    source = models.CharField(max_length=1024, null=True, blank=True, help_text="Likewise; empty: any.")
    subject = models.CharField(max_length=1024, null=True, blank=True, help_text="Likewise; empty: any.")
    description = models.CharField(max_length=500, blank=True, default="")
    enabled = models.BooleanField(default=True)
    #: raised at each rotation
    secret_version = models.PositiveIntegerField(default=1, db_default=1)
    rotated_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.CharField(max_length=200)
    failing_since = models.DateTimeField(null=True, help_text="Of the failures since the last success, the first.")
    disabled_at = models.DateTimeField(null=True, help_text="When it was disabled because of its failures.")
    disabled_reason = models.CharField(max_length=500, blank=True, default="", db_default="")

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(name="subscription_disabled", condition=Q(disabled_at=None) | Q(enabled=False)),
            models.CheckConstraint(name="subscription_types", condition=~Q(types=[])),
        ]

    def __str__(self) -> str:
        return self.url


class DeliveryState(models.TextChoices):
    PENDING = "PENDING"  # due at `due_at`                                → SENDING
    SENDING = "SENDING"  # a worker sends it until `due_at`; then it is due again → DELIVERED, PENDING, FAILED
    DELIVERED = "DELIVERED"  # the receiver took it                       (end; → PENDING if sent again)
    FAILED = "FAILED"  # given up                                         (end; → PENDING if sent again)


class Delivery(models.Model):
    """An event on its way to a subscription. The event itself is in the log; that of a test stands here."""

    subscription = models.ForeignKey(Subscription, models.CASCADE, related_name="deliveries", db_index=False)
    #: its place in the log; null for a test
    partition = models.PositiveIntegerField(null=True)
    position = models.BigIntegerField(null=True)
    logged_at = models.DateTimeField(null=True)
    body = models.TextField(null=True)
    type = models.TextField()
    event_id = models.TextField()
    state = models.CharField(max_length=9, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    attempts = models.PositiveIntegerField(db_default=0, default=0)
    #: attempts since the delivery was last requested; the pauses depend on it
    tries = models.PositiveIntegerField(db_default=0, default=0)
    created_at = models.DateTimeField(db_default=Now())
    #: by the database's clock
    due_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            # what is due, of each subscription
            models.Index(
                fields=["subscription", "due_at"],
                name="delivery_due",
                condition=Q(state__in=["PENDING", "SENDING"]),
            ),
            # what is in flight to one
            models.Index(fields=["subscription"], name="delivery_sending", condition=Q(state="SENDING")),
            # the log of a subscription
            models.Index(fields=["subscription", "-id"], name="delivery_log"),
            # what is forgotten
            models.Index(fields=["finished_at"], name="delivery_over", condition=Q(finished_at__isnull=False)),
        ]
        constraints = [
            models.CheckConstraint(name="delivery_state", condition=Q(state__in=DeliveryState.values)),
            models.CheckConstraint(
                name="delivery_finished",
                condition=Q(state__in=["DELIVERED", "FAILED"], finished_at__isnull=False)
                | Q(state__in=["PENDING", "SENDING"], finished_at__isnull=True),
            ),
            models.CheckConstraint(
                name="delivery_of_something",
                condition=Q(body__isnull=False)
                | Q(partition__isnull=False, position__isnull=False, logged_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class DeliveryAttempt(models.Model):
    """One try."""

    pk = models.CompositePrimaryKey("delivery_id", "number")
    delivery = models.ForeignKey(Delivery, models.CASCADE, related_name="log", db_index=False)
    number = models.PositiveIntegerField()
    at = models.DateTimeField(db_default=Now())
    #: null while the attempt is under way, or if its worker was lost
    milliseconds = models.PositiveIntegerField(null=True)
    status = models.PositiveSmallIntegerField(null=True, help_text="Of the answer, if there was one.")
    error = models.CharField(max_length=500, blank=True, default="", db_default="")

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return f"attempt {self.number}"


class StreamedType(models.Model):
    """A type of lifecycle events that somebody listens to, or did a moment ago and may come back for."""

    type = models.CharField(max_length=100, primary_key=True)
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["type"]

    def __str__(self) -> str:
        return self.type
