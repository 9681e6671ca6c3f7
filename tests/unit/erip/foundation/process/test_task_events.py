"""Note [Task events] in `task_events`, with Celery's own dispatcher. A real worker: tests/crash/test_short_way.py."""

from types import SimpleNamespace
from typing import Any

from celery.events.dispatcher import EventDispatcher

from erip.celery import app
from erip.foundation.process.task_events import KEPT, TaskEvents


class Producer:
    """Keeps what a dispatcher publishes."""

    def __init__(self) -> None:
        self.batches: list[list[dict[str, Any]]] = []

    def publish(self, body: Any, **_: Any) -> None:
        self.batches.append(list(body) if isinstance(body, list) else [body])


def dispatcher(groups: list[str] | None = None) -> tuple[EventDispatcher, Producer]:
    made, producer = EventDispatcher(app=app, enabled=False, groups=groups, buffer_group=["task"]), Producer()
    made.enabled, made.producer = True, producer
    return made, producer


def worker(events: EventDispatcher | None) -> tuple[Any, TaskEvents]:
    consumer = SimpleNamespace(event_dispatcher=events)
    return consumer, TaskEvents(consumer)


def test_events_go_together_in_their_order_with_the_times_at_which_they_happened() -> None:
    events, producer = dispatcher()
    _, noted = worker(events)
    for kind in ("task-received", "task-started", "task-succeeded"):
        noted.note(kind, uuid="one")
    assert not producer.batches
    noted.send()
    events.flush()
    (batch,) = producer.batches
    assert [event["type"] for event in batch] == ["task-received", "task-started", "task-succeeded"]
    times = [event["timestamp"] for event in batch]
    assert times == sorted(times)
    assert times[-1] < batch[0]["timestamp"] + 60
    assert [event["clock"] for event in batch] == sorted(event["clock"] for event in batch)
    noted.send()
    events.flush()
    assert len(producer.batches) == 1


def test_without_a_broker_they_wait_and_the_oldest_are_lost_first() -> None:
    consumer, noted = worker(None)
    for number in range(KEPT + 1):
        noted.note("task-started", uuid=str(number))
    noted.send()
    consumer.event_dispatcher, producer = dispatcher()
    noted.send()
    consumer.event_dispatcher.flush()
    assert [event["uuid"] for batch in producer.batches for event in batch] == [str(one) for one in range(1, KEPT + 1)]


def test_what_monitors_have_switched_off_meanwhile_is_not_sent() -> None:
    events, producer = dispatcher(groups=["worker"])
    _, noted = worker(events)
    noted.note("task-started", uuid="one")
    noted.send()
    events.flush()
    assert not producer.batches
