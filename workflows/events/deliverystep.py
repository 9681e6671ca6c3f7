"""Delivery to webhooks: its place in a Celery worker. General workers deliver, just as they consume."""

from typing import Any

from celery import bootsteps

from workflows.core.states import Lane
from workflows.events import deliveries


class EventDeliverer(bootsteps.StartStopStep):
    """A step of the worker's blueprint; `erip.celery` names it."""

    def include_if(self, parent: Any) -> bool:
        queues = set(parent.app.amqp.queues.consume_from)
        return bool(queues & {str(lane) for lane in Lane if lane != Lane.CRITICAL})

    def start(self, parent: Any) -> None:
        deliveries.begin()

    def stop(self, parent: Any) -> None:
        deliveries.end()

    terminate = stop
