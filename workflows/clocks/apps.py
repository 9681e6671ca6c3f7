"""Django's handle on the legal clocks."""

from django.apps import AppConfig


class ClocksConfig(AppConfig):
    name = "workflows.clocks"
    label = "clocks"
    verbose_name = "Legal clocks"
    default_auto_field = "django.db.models.BigAutoField"
