"""The short way of a message from Celery's consumer to a thread.

Note [Short way]
ERIP's messages are hints (Note [Messages] in `messages`): early acknowledgement, no result, no retry, no time limit,
no callbacks. What Celery does for all of these with each message costs as much as everything else in it. So the
message of a `HintTask` is handed to a thread of the pool directly, as long as nobody hears Celery's signals
(`watched`); otherwise it goes all of Celery's way. Both ways count alike in what the worker says of itself
(`celery.worker.state`), tell monitors the same (Note [Task events] in `task_events`), and acknowledge when a thread
begins, so that as many messages are fetched as before.
"""

import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import structlog
from celery.utils.log import get_logger
from celery.worker import state, strategy
from django.core.cache import close_caches

from erip.foundation.db.connections import release_connections
from erip.foundation.process.hinted import HintTask
from erip.foundation.process.task_events import TaskEvents
from erip.foundation.process.watched import sends_events, tasks_are_watched

log = structlog.get_logger(__name__)
_celery_log = get_logger(__name__)


def handler(task: HintTask, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """What Celery calls for each message of this task: a strategy, in its words."""
    all_the_way = strategy.default(task, app, consumer, **options)

    def handle(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **further: Any) -> Any:
        _, keywords, _ = message.payload
        task.fetched((message.delivery_info or {}).get("routing_key", ""), keywords)
        if callbacks or tasks_are_watched():
            return all_the_way(message, body, ack, reject, callbacks, **further)
        events = consumer.task_events if sends_events(consumer, task) else None
        hint = _Hint(task, message.headers, events)
        hint.tell("task-received", **hint.described())
        begun = partial(ack, _celery_log, consumer.connection_errors)
        return consumer.pool.apply_async(_run, (hint, keywords, begun), callback=_done)

    return handle


class _Hint:
    """What `celery.worker.state` knows of a message, in place of Celery's Request.

    Celery puts attributes of its own on it when the worker reconnects to the broker, so it has no slots.
    """

    #: it was acknowledged when it began
    acknowledged = True

    def __init__(self, task: HintTask, headers: Mapping[str, Any], events: TaskEvents | None) -> None:
        self.task, self.name, self.id = task, task.name, headers["id"]
        self._headers, self._events = headers, events

    def tell(self, kind: str, **fields: Any) -> None:
        """Note an event for monitors, if this worker has any."""
        if self._events is not None:
            self._events.note(kind, uuid=self.id, **fields)

    def described(self) -> dict[str, Any]:
        """The fields of a task that was received, as Celery names them."""
        headers = self._headers
        return {
            "name": self.name,
            "args": headers.get("argsrepr"),
            "kwargs": headers.get("kwargsrepr"),
            "root_id": headers.get("root_id"),
            "parent_id": headers.get("parent_id"),
            "retries": 0,
            "eta": None,
            "expires": None,
        }

    def begin(self) -> None:
        """A thread has it."""
        state.task_accepted(self)
        self.tell("task-started")

    def cancel(self, pool: Any, **_: Any) -> None:
        """At a cold shutdown. A thread cannot be stopped, and what it has begun is found again in PostgreSQL."""


def _run(hint: _Hint, keywords: Mapping[str, Any], begun: Callable[[], object]) -> None:
    """In a thread of the pool."""
    began = time.monotonic()
    hint.begin()
    begun()
    try:
        hint.task.run(**keywords)
    except Exception as error:
        # The work is found without the message.
        log.exception("hint_not_followed", task=hint.name)
        hint.tell("task-failed", exception=repr(error), traceback=traceback.format_exc())
    else:
        hint.tell("task-succeeded", result="None", runtime=time.monotonic() - began)
    finally:
        state.task_ready(hint)
        release_connections()
        close_caches()


def _done(_: object) -> None:
    """The pool wants to say it to somebody."""
