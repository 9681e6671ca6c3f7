"""What a worker tells of its hints to those who watch: Celery's task events, for Flower and other monitors.

Note [Task events]
Celery makes an event when a message comes in, when its task begins and when it ends, and sends each batch as soon as
its loop comes round: in the very milliseconds in which the run of an idle service is worked on, and for one and a half
times what the hint itself costs. Nobody looks at a monitor so often. So the events of hints are noted with their times
and sent together, twice a second, by the worker's own dispatcher: what it sends, and what it does while the broker is
away, is Celery's (`celery.events.dispatcher`).
"""

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from celery import bootsteps

#: seconds between two batches: monitors draw their pages less often
EVERY = 0.5
#: events that are kept while the broker is away; after that the oldest are lost
KEPT = 10_000


class TaskEvents(bootsteps.StartStopStep):
    """`consumer.task_events`: the events of one worker's hints. Any thread may note one; Celery's own loop sends."""

    requires = ("celery.worker.consumer.events:Events",)

    def __init__(self, consumer: Any, **_: Any) -> None:
        self._consumer = consumer
        self._noted: deque[tuple[str, Mapping[str, Any]]] = deque(maxlen=KEPT)
        self._timer: Any = None
        consumer.task_events = self

    def start(self, consumer: Any) -> None:
        """The connection to the broker stands, for the first time or again."""
        self._timer = consumer.timer.call_repeatedly(EVERY, self.send)

    def stop(self, consumer: Any) -> None:
        """It is lost: what is noted from now on waits for the next one."""
        if self._timer is not None:
            self._timer.cancel()

    def shutdown(self, consumer: Any) -> None:
        """The worker ends, and its loop has ended: nobody would send what the dispatcher gathers."""
        self.stop(consumer)
        self.send()
        if consumer.event_dispatcher:
            consumer.event_dispatcher.flush()

    def note(self, kind: str, **fields: Any) -> None:
        """kind: such as "task-started"; it happened now."""
        self._noted.append((kind, {"timestamp": time.time(), **fields}))

    def send(self) -> None:
        """Everything that was noted, as far as no monitor has switched it off meanwhile."""
        events = self._consumer.event_dispatcher
        while events and self._noted:
            kind, fields = self._noted.popleft()
            events.send(kind, **fields)
