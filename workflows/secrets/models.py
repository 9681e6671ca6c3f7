"""Secrets that steps may be given.

secrets_secret   a name that definitions use, who has the value, and which spaces may use it. Of the provider `database`
                 also the value, encrypted (Note [Envelopes] in `erip.foundation.keyring`); of the others no value
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Provider(models.TextChoices):
    """Who has the value of a secret."""

    ENVIRONMENT = "environment", "the environment of the workers"
    FILES = "files", "a file on the workers"
    DATABASE = "database", "the database, encrypted"
    VAULT = "vault", "HashiCorp Vault"


class Secret(models.Model):
    """A secret by name."""

    name = models.CharField(max_length=63, unique=True)
    provider = models.CharField(max_length=16, choices=Provider.choices)
    reference = models.CharField(max_length=500, blank=True, default="", help_text="Where the provider has it.")
    spaces = ArrayField(models.CharField(max_length=63), default=list, blank=True)
    everywhere = models.BooleanField(default=False, help_text="Whether every workflow may use it.")
    description = models.CharField(max_length=1000, blank=True, default="")
    version = models.PositiveIntegerField(default=1, help_text="How often it was stored.")
    changed_by = models.CharField(max_length=200, blank=True, default="")
    changed_at = models.DateTimeField(db_default=Now())
    #: of the provider `database`: the value, its data key, and the name of the key that this is encrypted with
    value = models.BinaryField(null=True, editable=False)
    data_key = models.BinaryField(null=True, editable=False)
    wrapped_by = models.CharField(max_length=32, blank=True, default="", editable=False)

    class Meta:
        verbose_name = "secret"
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="secret_value_in_database_only",
                condition=Q(provider="database", value__isnull=False, data_key__isnull=False)
                | (~Q(provider="database") & Q(value__isnull=True, data_key__isnull=True)),
            )
        ]

    def __str__(self) -> str:
        return self.name
