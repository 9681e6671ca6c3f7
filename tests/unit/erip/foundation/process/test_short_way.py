"""Note [Short way] in `short_way`: what a thread does with a message. A real worker: tests/crash/test_short_way.py."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from celery.worker import state
from celery.worker.consumer import Consumer
from celery.worker.consumer.events import Events
from structlog.testing import capture_logs

from erip.foundation.process import short_way
from erip.foundation.process.hinted import HintTask
from erip.foundation.process.task_events import TaskEvents


class Noted(TaskEvents):
    """Sends nothing: there is no worker."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace())
        self.all: list[tuple[str, dict[str, Any]]] = []

    def note(self, kind: str, **fields: Any) -> None:
        self.all.append((kind, fields))


def hint_of(task: Any, id_: str, events: TaskEvents | None = None) -> short_way._Hint:
    return short_way._Hint(task, {"id": id_}, events)


class Follows(HintTask):
    """Notes what the worker counts while it runs."""

    name = "tests.follows"

    def run(self, *, wrong: bool) -> None:
        self.seen = len(state.active_requests), self.begun
        if wrong:
            raise LookupError("nothing is there")


@pytest.mark.parametrize("wrong", [False, True])
def test_a_hint_is_acknowledged_before_it_is_followed_and_counted_whatever_becomes_of_it(wrong: bool) -> None:
    task: Any = Follows()
    task.begun = 0
    before, active = state.all_total_count[0], len(state.active_requests)

    def begin() -> None:
        task.begun += 1

    events = Noted()
    with capture_logs() as logged:
        short_way._run(hint_of(task, "an-id", events), {"wrong": wrong}, begin)
    assert task.seen == (active + 1, 1)
    assert state.all_total_count[0] == before + 1
    assert len(state.active_requests) == active
    assert "an-id" not in state.requests
    assert [entry["event"] for entry in logged] == (["hint_not_followed"] if wrong else [])
    assert [kind for kind, _ in events.all] == ["task-started", "task-failed" if wrong else "task-succeeded"]
    assert {fields["uuid"] for _, fields in events.all} == {"an-id"}
    assert ("nothing is there" in events.all[-1][1].get("exception", "")) is wrong


def test_a_worker_that_reconnects_while_a_hint_is_under_way_goes_on() -> None:
    """Celery's own parts, as they are called when the broker is back: what is under way gets the new dispatcher."""
    hint = hint_of(Follows(), "under-way")
    # Of the connection itself there is nothing to see here.
    consumer = MagicMock(task_buckets={})
    state.task_accepted(hint)
    try:
        Consumer.on_close(consumer)
        step = Events.__new__(Events)
        step.groups, step.send_events = ["worker"], True
        step.start(consumer)
        assert hint.eventer is consumer.event_dispatcher  # type: ignore[attr-defined]
    finally:
        state.task_ready(hint)
