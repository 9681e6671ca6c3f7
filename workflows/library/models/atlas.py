"""The organisation, its assets and the controls that protect them."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from workflows.library.models.fields import between, share, words


class Organisation(models.Model):
    """The one organisation that this installation serves."""

    name = models.CharField(max_length=200, unique=True)
    currency = models.CharField(max_length=3, default="USD")
    risk_appetite = models.FloatField(help_text="the yearly loss, at 95 % confidence, that the board accepts")
    observed_since = models.DateField(help_text="from this day on every incident is recorded as a past incident")
    containment_target_hours = models.FloatField(default=72, help_text="incidents are to be contained within")
    sample = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(risk_appetite__gt=0), name="organisation_appetite"),
            models.CheckConstraint(condition=models.Q(containment_target_hours__gt=0), name="organisation_target"),
        ]

    def __str__(self) -> str:
        return self.name


class Asset(models.Model):
    """Something that can be attacked."""

    name = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=60, help_text="e.g. application, database, endpoint, saas")
    criticality = models.PositiveSmallIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(5)],
        help_text="1 (minor) to 5 (the business stops)",
    )
    internet_facing = models.BooleanField(default=False)
    vendor = models.CharField(max_length=200, blank=True, help_text="as the KEV catalogue writes it")
    product = models.CharField(max_length=400, blank=True, help_text="as the KEV catalogue writes it")
    data_categories = words('kinds of data held, e.g. ["personal"]')
    records = models.PositiveBigIntegerField(default=0, help_text="data subjects whose data it holds")
    owner = models.CharField(max_length=200, blank=True)
    sample = models.BooleanField(default=False)

    class Meta:
        ordering = ["-criticality", "name"]
        constraints = [between("criticality", 1, 5, "asset_criticality")]

    def __str__(self) -> str:
        return self.name


class Control(models.Model):
    """A safeguard: what it works against, how well, and on which assets."""

    code = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=200)
    nist_csf = words('NIST CSF 2.0 subcategories, e.g. ["PR.AA-03"]')
    iso27001 = words('ISO/IEC 27001:2022 Annex A, e.g. ["A.8.5"]')
    mitigates = words("incident types and attack vectors it works against; [] is all of them")
    weight = models.FloatField(default=1.0, help_text="how much it matters among the controls in question")
    effectiveness = share("share of attempts it stops where it is in place, by its last test")
    target = share("effectiveness that it is meant to have", default=0.8)
    tested_on = models.DateField(null=True, blank=True)
    assets: "models.ManyToManyField[Asset, models.Model]" = models.ManyToManyField(
        Asset, blank=True, related_name="controls"
    )
    sample = models.BooleanField(default=False)

    class Meta:
        ordering = ["code"]
        constraints = [
            between("effectiveness", 0, 1, "control_effectiveness"),
            between("target", 0, 1, "control_target"),
            models.CheckConstraint(condition=models.Q(weight__gt=0), name="control_weight"),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"
