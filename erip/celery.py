"""The Celery app. Its settings stand in `erip/settings/celery.py`, the way to the broker in `erip/broker.py`."""

import os
from importlib import import_module

from celery import Celery, signals

from erip.broker import install_transports
from erip.liveness import Heartbeat, Turns

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "erip.settings.production")
install_transports()

app = Celery("erip")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# By name: it needs the apps, which are ready only when a worker starts.
app.steps["worker"].add("workflows.events.bootstep:EventConsumer")
app.steps["worker"].add("workflows.events.deliverystep:EventDeliverer")
# Only now: its own imports read the settings.
import_module("erip.db.propagation")
app.steps["worker"].add(Heartbeat)
app.steps["consumer"].add(Turns)


@signals.setup_logging.connect
def use_djangos_logging(**_: object) -> None:
    """Keep Celery from installing its own log format: connecting to the signal is what does it."""
