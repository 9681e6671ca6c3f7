"""Django's handle on the risk library."""

from django.apps import AppConfig


class LibraryConfig(AppConfig):
    name = "workflows.library"
    label = "library"
    verbose_name = "Risk library"
    default_auto_field = "django.db.models.BigAutoField"
