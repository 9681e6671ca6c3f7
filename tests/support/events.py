"""What the tests of the event bus share: events, and a consumer in the test's own process."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from django.db import connections

from workflows import store
from workflows.core.cloudevents import read_batch
from workflows.core.states import Lane
from workflows.events import ingest
from workflows.events.conf import conf
from workflows.events.consumer import Consumer
from workflows.events.effects import AfterCommit, Effect, LoggedEvent, Round

LANES = [str(lane) for lane in Lane]


def event(**attributes: Any) -> dict[str, Any]:
    """A CloudEvent; attributes that are not given are made up."""
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "/tests",
        "type": "nexus.threat.detected",
        "subject": "asset-1",
        "data": {"severity": "high"},
        **attributes,
    }


def accept(events: Sequence[dict[str, Any]]) -> None:
    """Journal these events, as one request does."""
    ingest.accept(read_batch(orjson.dumps(list(events)), partitions=conf().partitions, most=100_000))


def new_worker() -> int:
    return store.register_worker("test", "here", 1, LANES)


@contextmanager
def consuming(*effects: Effect) -> Iterator[Consumer]:
    """A consumer that runs until the block ends."""
    consumer = Consumer(new_worker(), effects).start()
    try:
        yield consumer
    finally:
        consumer.stop()
        connections.close_all()


class Recorder:
    """An effect that remembers what it was given. `refuse` may raise or reject."""

    name = "recorder"

    def __init__(self) -> None:
        self.rounds: list[list[LoggedEvent]] = []
        self.committed: list[str] = []

    @property
    def ids(self) -> list[str]:
        return [event.id for one in self.rounds for event in one]

    def refuse(self, round: Round) -> None:
        pass

    def apply(self, round: Round) -> AfterCommit | None:
        self.refuse(round)
        self.rounds.append(list(round.events))
        return lambda: self.committed.extend(event.id for event in round.events)

    def plan(self, target: str, events: Sequence[LoggedEvent]) -> dict[str, int]:
        return {self.name: len(events)}
