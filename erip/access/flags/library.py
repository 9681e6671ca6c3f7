"""django-waffle, of which the platform uses the model and the calls."""

from pathlib import Path

from django.apps import AppConfig


class WaffleConfig(AppConfig):
    """Its management commands would change flags past the checks of `flags.stored`, so Django looks for them here,
    where there are none: `manage.py flags` does the same and more."""

    name = "waffle"
    verbose_name = "django-waffle"
    path = str(Path(__file__).parent)
