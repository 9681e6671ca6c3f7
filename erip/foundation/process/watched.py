"""Whether somebody watches Celery's messages and tasks: then they go all of Celery's way, otherwise a shorter one.

What apps connect to Celery's signals, such as tracers, lives on these. Its monitors (Flower) live on task events, which
the shorter way has, too.
"""

from collections.abc import Iterable
from typing import Any
from weakref import ReferenceType

from celery import signals
from celery.utils.dispatch import Signal
from django.conf import settings

_RUN = (
    signals.task_received,
    signals.task_prerun,
    signals.task_postrun,
    signals.task_success,
    signals.task_failure,
    signals.task_internal_error,
)
_SENT = (signals.before_task_publish, signals.after_task_publish, signals.task_sent)
#: the modules of receivers that have nothing to do with a hint: it goes out from a thread of its own, outside of the
#: scope of whoever caused it, and gives its connections back without being reminded
_OWN = {"erip.foundation.db.propagation", "celery.fixups.django"}


def sending_is_watched(app: Any) -> bool:
    """Whether anybody but ERIP itself hears of a message that this process sends."""
    return bool(app.conf.task_send_sent_event) or _heard(_SENT)


def tasks_are_watched() -> bool:
    """Whether anybody but ERIP itself hears of a task that this worker runs, by a signal."""
    return bool(settings.ERIP_REPLICAS) or _heard(_RUN)


def sends_events(consumer: Any, task: Any) -> bool:
    """Whether this worker tells monitors of this task.

    A dispatcher that has groups sends events of these alone: without `-E`, those of the worker itself.
    """
    events = consumer.event_dispatcher
    return bool(events and events.enabled and task.send_events and (not events.groups or "task" in events.groups))


def _heard(of: Iterable[Signal]) -> bool:
    return any(module not in _OWN for signal in of for module in _modules(signal))


def _modules(signal: Signal) -> Iterable[str | None]:
    """Where its receivers are defined; None of one that does not say."""
    for _, receiver in list(signal.receivers or ()):
        function = receiver() if isinstance(receiver, ReferenceType) else receiver
        if function is not None:  # gone meanwhile
            yield getattr(function, "__module__", None)
