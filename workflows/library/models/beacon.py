"""Reports, and the links under which they are shared."""

import uuid

from django.db import models


class Report(models.Model):
    """What beacon.report made. The database is the truth; the files under ERIP_REPORT_DIR are copies."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    #: a step that runs again overwrites its own report and does not make a second
    idempotency_key = models.CharField(max_length=300, unique=True)
    run_id = models.CharField(max_length=64, db_index=True)
    workflow = models.CharField(max_length=100)
    title = models.CharField(max_length=300)
    html = models.TextField()
    markdown = models.TextField()
    sha256 = models.CharField(max_length=64, help_text="of the HTML")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.title


class ReportLink(models.Model):
    """A shareable link. Its token is signed; the row is what revokes it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    report = models.ForeignKey(Report, on_delete=models.CASCADE, related_name="links")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=150, blank=True)

    class Meta:
        verbose_name = "report link"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"link to {self.report_id}"
