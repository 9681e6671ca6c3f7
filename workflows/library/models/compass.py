"""Legal obligations with their clocks, and the requirements an organisation is assessed against."""

from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import models

from erip.foundation.db.json import JsonField
from workflows.core.clocks.clock import BadClock, Clock
from workflows.library.models.fields import between, share, words
from workflows.library.vocabulary import SEVERITIES


def clocks_that_run(value: Any) -> None:
    if not isinstance(value, list):
        raise ValidationError("Write a JSON list of clocks.")
    for index, clock in enumerate(value):
        try:
            Clock.of(clock)
        except BadClock as error:
            raise ValidationError(f"[{index}]: {error}") from error


#: how a duty was checked
CHECKED: Final = {
    "official": "the official wording was read",
    "quoted": "as others quote the official wording",
    "recalled": "not checked",
}


class Obligation(models.Model):
    """A duty to tell somebody about an incident, within a time that the law sets."""

    code = models.SlugField(max_length=60, unique=True)
    regime = models.CharField(max_length=100, help_text="e.g. GDPR")
    title = models.CharField(max_length=300)
    authority = models.CharField(max_length=300, help_text="who is to be told")
    citation = models.CharField(max_length=300)
    source_url = models.URLField(max_length=500)
    clocks = JsonField(
        default=list,
        blank=True,
        validators=[clocks_that_run],
        help_text='[] where the law says "without undue delay" only; docs/reference/library.md describes the fields',
    )
    wording = models.CharField(max_length=300, help_text="the time limit in words")
    jurisdictions = words("places whose law it is; a member state counts as EU")
    sectors = words("[] is every sector")
    data_categories = words("at least one of them must be concerned; [] is any")
    conditions = words("facts that must hold of the organisation, e.g. listed_company")
    min_severity = models.CharField(
        max_length=10, blank=True, choices=[(name, name) for name in SEVERITIES], help_text="empty is any"
    )
    min_records = models.PositiveBigIntegerField(default=0)
    max_records = models.PositiveBigIntegerField(null=True, blank=True)
    per_state = models.BooleanField(
        default=False,
        # A process of the previous release writes rows without it.
        db_default=False,
        help_text="the numbers are of the residents of one state of the country, not of everybody",
    )
    note = models.TextField(blank=True)
    in_force_from = models.DateField(null=True, blank=True)
    in_force_until = models.DateField(null=True, blank=True)
    #: A process of the previous release writes rows without these, hence their defaults in the database.
    not_in_force = models.CharField(
        max_length=300,
        blank=True,
        default="",
        db_default="",
        help_text="why it is not law yet; such a duty never applies",
    )
    encryption_exempts = models.BooleanField(
        default=False, db_default=False, help_text="no duty where the data were encrypted and the key is not concerned"
    )
    stops = models.CharField(
        max_length=300, blank=True, default="", db_default="", help_text="the article that allows to stop its clock"
    )
    checked = models.CharField(
        max_length=10,
        blank=True,
        default="",
        db_default="",
        choices=[(one, text) for one, text in CHECKED.items()],
        help_text="how it was checked against the law; only the official wording makes it verified",
    )
    text_of = models.DateField(null=True, blank=True, help_text="the official wording as of this day was read")
    reviewed_on = models.DateField(null=True, blank=True, help_text="when somebody last looked at it")
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(max_records__isnull=True) | models.Q(max_records__gte=models.F("min_records")),
                name="obligation_records",
            )
        ]

    def __str__(self) -> str:
        return f"{self.regime}: {self.title}"

    @property
    def verified(self) -> bool:
        return self.checked == "official"


class Requirement(models.Model):
    """One requirement of a framework, and how far the organisation meets it."""

    framework = models.CharField(max_length=100, help_text="e.g. ISO 27001, GDPR")
    reference = models.CharField(max_length=60)
    title = models.CharField(max_length=300)
    weight = models.FloatField(default=1.0)
    fulfilment = share("0 is not met, 1 is met in full")
    applicable = models.BooleanField(default=True)
    assessed_on = models.DateField()
    valid_days = models.PositiveIntegerField(default=365, help_text="after so many days an assessment counts half")
    evidence = models.TextField(blank=True)
    sample = models.BooleanField(default=False)

    class Meta:
        ordering = ["framework", "reference"]
        constraints = [
            models.UniqueConstraint(fields=["framework", "reference"], name="requirement_once"),
            between("fulfilment", 0, 1, "requirement_fulfilment"),
            models.CheckConstraint(condition=models.Q(weight__gt=0), name="requirement_weight"),
        ]

    def __str__(self) -> str:
        return f"{self.framework} {self.reference}"
