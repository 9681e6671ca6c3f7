"""Idempotency keys of start requests: the same key from the same principal gives the same run."""

from django.db import models
from django.db.models.functions import Now


class IdempotencyKey(models.Model):
    pk = models.CompositePrimaryKey("principal", "key")
    principal = models.CharField(max_length=200)
    key = models.CharField(max_length=255)
    #: SHA-256 (hex) of the request; another request under the same key is refused
    request_hash = models.CharField(max_length=64)
    #: no foreign key: the key is written before the run, to let a second request wait for the first
    run_id = models.UUIDField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="idempotency_age")]

    def __str__(self) -> str:
        return self.key
