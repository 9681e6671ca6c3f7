"""The app: holds the table of what was scaled, and why."""

from django.apps import AppConfig


class AutoscaleConfig(AppConfig):
    name = "monitoring.scaling"
    label = "autoscale"
    verbose_name = "Autoscaler"
    default_auto_field = "django.db.models.BigAutoField"
