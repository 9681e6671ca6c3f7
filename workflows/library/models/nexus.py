"""Threat intelligence: CISA's catalogue of known exploited vulnerabilities, and our own past incidents."""

from django.db import models

from workflows.library.models.fields import words


class KevCatalogue(models.Model):
    """One row for each load of a catalogue; the newest says which version is in force."""

    title = models.CharField(max_length=300)
    version = models.CharField(max_length=40)
    released_at = models.DateTimeField()
    entries = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    sample = models.BooleanField(default=False, help_text="the sample that ships with ERIP, not CISA's catalogue")
    loaded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "KEV catalogue"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.version} ({self.entries} entries)"


class KevEntry(models.Model):
    """A vulnerability known to be exploited."""

    cve_id = models.CharField("CVE", max_length=30, primary_key=True)
    vendor = models.CharField(max_length=200)
    product = models.CharField(max_length=400)
    name = models.CharField(max_length=500)
    date_added = models.DateField()
    due_date = models.DateField()
    description = models.TextField()
    required_action = models.TextField()
    ransomware = models.BooleanField(help_text="known to be used in ransomware campaigns")
    notes = models.TextField(blank=True)
    cwes = words("CWE ids")
    sample = models.BooleanField(default=False)
    withdrawn = models.BooleanField(
        default=False, help_text="no longer in the catalogue that was loaded last; not matched any more"
    )

    class Meta:
        verbose_name = "known exploited vulnerability"
        verbose_name_plural = "known exploited vulnerabilities"
        ordering = ["-date_added", "cve_id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(cve_id__regex=r"^CVE-[0-9]{4}-[0-9]{4,19}$"), name="kev_cve_id")
        ]

    def __str__(self) -> str:
        return self.cve_id


class PastIncident(models.Model):
    """An incident of the organisation's past: what new ones are compared with, and where loss frequencies come from."""

    reference = models.CharField(max_length=60, unique=True)
    title = models.CharField(max_length=300)
    incident_type = models.CharField(max_length=100, help_text="e.g. ransomware")
    attack_vector = models.CharField(max_length=100, blank=True, help_text="e.g. phishing")
    data_categories = words('kinds of data concerned, e.g. ["personal", "health"]')
    cves = words('e.g. ["CVE-2023-34362"]')
    records = models.PositiveBigIntegerField(default=0)
    loss = models.FloatField(default=0, help_text="what it cost, in the organisation's currency")
    occurred_on = models.DateField()
    hours_to_detect = models.FloatField(null=True, blank=True)
    hours_to_contain = models.FloatField(null=True, blank=True)
    lessons = models.TextField(blank=True)
    sample = models.BooleanField(default=False, help_text="belongs to the sample organisation")

    class Meta:
        verbose_name = "past incident"
        ordering = ["-occurred_on", "reference"]
        constraints = [
            models.CheckConstraint(condition=models.Q(loss__gte=0), name="past_incident_loss"),
            models.CheckConstraint(
                condition=models.Q(hours_to_detect__isnull=True) | models.Q(hours_to_detect__gte=0),
                name="past_incident_detect",
            ),
            models.CheckConstraint(
                condition=models.Q(hours_to_contain__isnull=True) | models.Q(hours_to_contain__gte=0),
                name="past_incident_contain",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reference} {self.title}"
