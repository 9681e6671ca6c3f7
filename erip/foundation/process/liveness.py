"""A worker's heartbeat file (`alive`), touched only while the worker does its work: Note [What is alive] in `pulse`."""

from typing import Any

import structlog
from celery import bootsteps

from erip.foundation.process import alive
from erip.foundation.process.vitals import pulse
from erip.foundation.service import Service, dead

log = structlog.get_logger(__name__)


class Heartbeat(bootsteps.StartStopStep):
    """A thread of the worker that touches its file each second while it lives."""

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self._name: str = worker.hostname
        self._service = Service("heartbeat-file", self._beat, every=alive.EVERY, delay=True, clean=self._forget)

    def start(self, worker: Any) -> None:
        self._service.start()

    def stop(self, worker: Any) -> None:
        self._service.stop(0)

    def _forget(self) -> None:
        alive.forget(self._name)

    def _beat(self) -> None:
        if not pulse.lives():
            log.error("consumer_is_silent", worker=self._name)
        elif silent := dead():
            log.error("thread_is_dead", worker=self._name, services=silent)
        else:
            try:
                alive.touch(self._name)
            except OSError as error:
                log.error("heartbeat_file_not_written", error=error)


class Turns(bootsteps.StartStopStep):
    """Runs in the consumer's own loop: shows that the loop turns while the worker holds all the messages it may."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        self._timer = consumer.timer.call_repeatedly(alive.EVERY, _look_at, (consumer,))

    def stop(self, consumer: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _look_at(consumer: Any) -> None:
    tasks = consumer.task_consumer
    if consumer.connection is None or tasks is None or tasks.channel is None:
        return
    if not tasks.channel.qos.can_consume():
        pulse.polled()
