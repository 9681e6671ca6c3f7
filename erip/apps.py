"""The project as an app: every process publishes through ERIP's Celery app, and knows what the apps add (`hooks`)."""

from importlib import import_module

from django.apps import AppConfig
from django.conf import settings

from erip.foundation import hooks


class EripConfig(AppConfig):
    name = "erip"

    def ready(self) -> None:
        # Not in `erip/__init__.py`, where the usual advice has it: the stack's command line needs no Celery.
        celery = import_module("erip.celery").app
        import_module("erip.foundation.db.migrating")
        import_module("erip.foundation.http.checks")
        import_module("erip.foundation.http.tracing")
        import_module("erip.foundation.outbound.checks")
        import_module("erip.settings.checks")
        if settings.ERIP_PARKED:
            # Before anybody's step is loaded: Note [Parked] there.
            parked = import_module("erip.foundation.outbound.parked")
            parked.park(*parked.brokers(settings.ERIP_BROKER_URL))
        hooks.discover()
        for step in hooks.worker_step.all():
            celery.steps["worker"].add(step)
