"""The consumer's place in a Celery worker: it starts with the worker, before the broker is reached, and ends with it.

Only general workers consume: a worker that serves `critical` alone is kept for that.

Note [Who gives way]
Where a general worker shares its cores with the critical worker and the web processes, its steps give way to them
(ERIP_WORKER_NICE). Its consumer does not: accepted events must take effect before more are accepted.
"""

from typing import Any

from celery import bootsteps
from django.conf import settings

from erip.foundation.process.niceness import give_way
from workflows.core.states import Lane
from workflows.events.conf import conf
from workflows.events.consumer import Consumer
from workflows.worker import process as worker


class EventConsumer(bootsteps.StartStopStep):
    """A step of the worker's blueprint; `erip.celery` names it."""

    def __init__(self, parent: Any, **_: Any) -> None:
        self._consumer: Consumer | None = None

    def include_if(self, parent: Any) -> bool:
        queues = set(parent.app.amqp.queues.consume_from)
        return conf().consume and bool(queues & {str(lane) for lane in Lane if lane != Lane.CRITICAL})

    def start(self, parent: Any) -> None:
        self._consumer = Consumer(worker.current().worker_id).start()
        give_way(settings.ERIP_WORKER_NICE, but=self._consumer.thread_ids)

    def stop(self, parent: Any) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.stop()

    terminate = stop
