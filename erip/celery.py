"""The Celery app. Its settings stand in `erip/settings/celery.py`, the way to the broker in
`erip/foundation/process/broker.py`.
"""

import os
from importlib import import_module

from celery import Celery, signals

import erip.foundation.structlog_alone  # noqa: F401  (first: it says why)
from erip.foundation.process.again import Again
from erip.foundation.process.broker import install_transports
from erip.foundation.process.liveness import Heartbeat, Turns
from erip.foundation.process.task_events import TaskEvents

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "erip.settings.production")
# Note [Checks without the web] in `erip.foundation.process.checking`.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
install_transports()

app = Celery("erip")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# Only now: its own imports read the settings.
import_module("erip.foundation.db.propagation")
app.steps["worker"].add(Again)
app.steps["worker"].add(Heartbeat)
app.steps["consumer"].add(Turns)
app.steps["consumer"].add(TaskEvents)


@signals.setup_logging.connect
def use_djangos_logging(**_: object) -> None:
    """Keep Celery from installing its own log format: connecting to the signal is what does it."""
