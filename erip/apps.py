"""The project as an app: makes every process of Django's publish through ERIP's Celery app."""

from importlib import import_module

from django.apps import AppConfig


class EripConfig(AppConfig):
    name = "erip"

    def ready(self) -> None:
        # Not in `erip/__init__.py`, where the usual advice has it: the stack's command line needs no Celery.
        import_module("erip.celery")
        import_module("erip.foundation.db.migrating")
        import_module("erip.foundation.db.checks")
        import_module("erip.foundation.http.checks")
        import_module("erip.foundation.outbound.checks")
