"""Note [Short way] in `short_way`: who watches a worker sees every message as before, and nothing else changes."""

import base64
import json
from collections import defaultdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from tests import workers
from tests.workers import until
from workflows.starts import dispatch

pytestmark = pytest.mark.django_db(transaction=True)
MESSAGES = 7


class Watcher:
    """Reads what a worker says of itself, where Flower reads it."""

    def __init__(self, broker: redis.Redis) -> None:
        self._heard = broker.pubsub(ignore_subscribe_messages=True)
        self._heard.psubscribe("*celeryev*")
        self._heard.get_message(timeout=1)
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def look(self) -> "Watcher":
        while (message := self._heard.get_message(timeout=0.01)) is not None:
            body = json.loads(base64.b64decode(json.loads(message["data"])["body"]))
            for event in body if isinstance(body, list) else [body]:
                self.events[event["type"]].append(event)
        return self

    def counted(self) -> tuple[int, int]:
        """(messages that were taken, of which under way), as the worker counts them."""
        beats = self.look().events["worker-heartbeat"]
        return (beats[-1]["processed"], beats[-1]["active"]) if beats else (0, 0)


def send_some() -> None:
    """Hints about runs that are not there: a worker looks, and finds nothing."""
    publisher = dispatch.Publisher()
    for _ in range(MESSAGES):
        publisher.send("standard", [str(uuid4())])


def test_with_task_events_every_message_is_reported_from_its_receipt_to_its_end(broker: redis.Redis, log: Path) -> None:
    watcher = Watcher(broker)
    with workers.worker(log, flags=["-E"]):
        send_some()
        until(lambda: len(watcher.look().events["task-succeeded"]) == MESSAGES, what="all are seen to succeed")
        until(lambda: watcher.counted() == (MESSAGES, 0), what="all are counted")
    received, begun, done = (
        {event["uuid"] for event in watcher.events[kind]}
        for kind in ("task-received", "task-started", "task-succeeded")
    )
    assert received == begun == done
    assert len(done) == MESSAGES
    assert {event["name"] for event in watcher.events["task-received"]} == {"workflows.execute"}


def test_without_them_a_worker_counts_its_messages_all_the_same(broker: redis.Redis, log: Path) -> None:
    watcher = Watcher(broker)
    with workers.worker(log):
        send_some()
        until(lambda: watcher.counted() == (MESSAGES, 0), what="all are counted")
    assert not {kind for kind in watcher.events if kind.startswith("task-")}
