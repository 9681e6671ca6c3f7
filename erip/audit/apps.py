"""The app: holds the log's tables."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "erip.audit"
    label = "audit"
    verbose_name = "Audit log"
    default_auto_field = "django.db.models.BigAutoField"
