"""How many events a source may send."""

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now


class SourceQuota(models.Model):
    """Limits of one source, or, with `*` at its end, of each source that begins so."""

    source = models.CharField(max_length=1024, unique=True, help_text="A source, or its beginning and `*`.")
    rate = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0.001)], help_text="Events a second, on the average."
    )
    burst = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="Events at once; by default, a second's."
    )
    daily = models.PositiveBigIntegerField(null=True, blank=True, help_text="Events a day (UTC).")

    class Meta:
        ordering = ["source"]
        constraints = [
            models.CheckConstraint(
                name="quota_positive",
                condition=(models.Q(rate__isnull=True) | models.Q(rate__gt=0))
                & (models.Q(burst__isnull=True) | models.Q(burst__gt=0)),
            )
        ]

    def __str__(self) -> str:
        return self.source


class SourceUsage(models.Model):
    """What remains of a source's quota, by the database's clock."""

    source = models.TextField(primary_key=True)
    tokens = models.FloatField(help_text="Events that it might have sent at once, at `at`.")
    at = models.DateTimeField(db_default=Now())
    day = models.DateField()
    sent = models.BigIntegerField(help_text="Events on that day.")

    class Meta:
        ordering = ["source"]
        verbose_name_plural = "source usage"

    def __str__(self) -> str:
        return self.source
