"""What an incident costs, as ranges that an admin calibrates."""

from django.db import models

from workflows.library.models.fields import between, share, words


class LossFactor(models.Model):
    """One kind of loss of one event, as a PERT range: of the whole event, or for each record."""

    class Basis(models.TextChoices):
        EVENT = "event", "per event"
        RECORD = "record", "per affected record"

    code = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=200)
    basis = models.CharField(max_length=10, choices=Basis.choices)
    low = models.FloatField()
    mode = models.FloatField(help_text="the most likely amount")
    high = models.FloatField()
    probability = share("how often an event brings this loss at all (secondary loss: below 1)", default=1.0)
    cap = models.FloatField(null=True, blank=True, help_text="the most that it can come to in one event")
    incident_types = words("[] is every type")
    data_categories = words("[] is any data")
    source = models.CharField(max_length=300, help_text="where the range comes from")
    sample = models.BooleanField(default=False)

    class Meta:
        ordering = ["code"]
        constraints = [
            between("probability", 0, 1, "loss_factor_probability"),
            models.CheckConstraint(
                condition=models.Q(low__gte=0, mode__gte=models.F("low"), high__gte=models.F("mode")),
                name="loss_factor_range",
            ),
            models.CheckConstraint(condition=models.Q(cap__isnull=True) | models.Q(cap__gt=0), name="loss_factor_cap"),
        ]

    def __str__(self) -> str:
        return self.name
