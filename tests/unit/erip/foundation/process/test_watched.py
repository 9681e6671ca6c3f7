"""A hint goes all of Celery's way as soon as anybody but ERIP could see it."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app, signals

from erip.foundation.process.watched import _RUN, _SENT, sending_is_watched, sends_events, tasks_are_watched
from workflows.tasks import execute


def consumer(groups: set[str] | None, *, enabled: bool = True) -> Any:
    return SimpleNamespace(event_dispatcher=SimpleNamespace(enabled=enabled, groups=groups))


#: a worker without `-E`, which tells of itself alone
QUIET = consumer({"worker"})


def sent() -> bool:
    return sending_is_watched(current_app)


def run() -> bool:
    return tasks_are_watched()


def test_erip_itself_and_celery_s_own_parts_are_nobody() -> None:
    assert not sent()
    assert not run()


@pytest.mark.parametrize(
    ("signal", "watched"),
    [pytest.param(one, watched, id=one.name) for all_of, watched in ((_SENT, sent), (_RUN, run)) for one in all_of],
)
@pytest.mark.parametrize("weak", [True, False])
def test_whoever_connects_to_a_signal_hears_of_everything(
    signal: signals.Signal, watched: Callable[[], bool], weak: bool
) -> None:
    def receiver(**_: Any) -> None:
        """An app's own."""

    signal.connect(receiver, weak=weak)
    try:
        assert watched()
    finally:
        signal.disconnect(receiver)
    assert not watched()


def test_a_receiver_that_is_gone_is_nobody() -> None:
    class App:
        def hear(self, **_: Any) -> None:
            """Of a task."""

    app = App()
    signals.task_prerun.connect(app.hear)
    assert run()
    del app
    assert not run()


@pytest.mark.parametrize("groups", [None, set(), {"task"}, {"worker", "task"}])
def test_a_worker_tells_of_its_tasks_when_it_is_to_and_else_does_not(groups: set[str] | None) -> None:
    assert sends_events(consumer(groups), execute)
    assert not sends_events(consumer(groups, enabled=False), execute)
    assert not sends_events(QUIET, execute)


def test_so_is_a_setting_that_has_sent_messages_reported() -> None:
    current_app.conf.task_send_sent_event = True
    try:
        assert sent()
    finally:
        current_app.conf.task_send_sent_event = False
    assert not sent()


def test_with_replicas_a_task_is_a_scope_of_its_own(settings: Any) -> None:
    settings.ERIP_REPLICAS = ["somewhere"]
    assert run()
