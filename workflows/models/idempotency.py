"""Idempotency keys: the same key from the same principal gives the same run, or the same answer."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class IdempotencyKey(models.Model):
    pk = models.CompositePrimaryKey("principal", "key")
    principal = models.CharField(max_length=200)
    key = models.CharField(max_length=255)
    #: SHA-256 (hex) of the request; another request under the same key is refused
    request_hash = models.CharField(max_length=64)
    #: only for a request that starts one run. No foreign key: the key is written before the run, so that a second
    #: request waits for the first
    run_id = models.UUIDField(null=True)
    #: for any other request: the answer as JSON; "" while the transaction that makes the answer is under way
    answer = models.TextField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="idempotency_age")]
        constraints = [
            models.CheckConstraint(
                name="idempotency_run_or_answer",
                condition=Q(run_id=None, answer__isnull=False) | Q(run_id__isnull=False, answer=None),
            )
        ]

    def __str__(self) -> str:
        return self.key
