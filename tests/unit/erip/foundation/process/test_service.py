"""A background service: its turns, its failures, its end, and what a fork leaves of it."""

import os
import queue
import threading
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from erip.foundation.process.group_commit import GroupCommit
from erip.foundation.service import Service, dead, once

PATIENCE = 10.0


class Turns:
    """Counts turns; each can be waited for, and does what the test wants."""

    def __init__(self, act: Callable[[int], None] = lambda number: None) -> None:
        self.count = 0
        self.act = act
        self.taken: queue.SimpleQueue[int] = queue.SimpleQueue()

    def __call__(self) -> None:
        self.count += 1
        self.taken.put(self.count)
        self.act(self.count)

    def wait(self) -> int:
        return self.taken.get(timeout=PATIENCE)


@pytest.fixture
def made() -> Iterator[list[Service]]:
    services: list[Service] = []
    yield services
    for service in services:
        assert service.stop()


def test_it_takes_turns_until_it_is_stopped(made: list[Service]) -> None:
    turns = Turns()
    service = Service("turns", turns, every=0.001).start()
    made.append(service)
    assert [turns.wait() for _ in range(3)] == [1, 2, 3]
    assert service.stop()
    count = turns.count
    assert not service.is_running
    service.start()
    assert turns.count >= count
    while turns.wait() <= count:
        pass


def test_it_survives_whatever_a_turn_raises_and_cleans_up(made: list[Service]) -> None:
    cleaned: list[int] = []

    def act(number: int) -> None:
        if number == 1:
            raise ValueError("one bad row")
        if number == 2:
            raise ConnectionError("away")

    turns = Turns(act)
    service = Service(
        "weak",
        turns,
        every=0.001,
        back_off=(0.001, 0.001),
        expected=lambda error: isinstance(error, ConnectionError),
        clean=lambda: cleaned.append(turns.count),
    )
    made.append(service)
    with capture_logs() as logs:
        service.start()
        while turns.wait() < 4:
            pass
        assert service.stop()
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("service_failed", "error"),
        ("service_delayed", "warning"),
    ]
    assert cleaned[:2] == [1, 2]
    assert len(cleaned) == 3, "at its end, too"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_ends_unasked_is_reported_as_dead() -> None:
    def end() -> None:
        raise SystemExit

    service = Service("fragile", end).start()
    until_dead = threading.Event()
    while not service.has_died:
        until_dead.wait(0.001)
    assert "fragile" in dead()
    service.stop()
    assert "fragile" not in dead()


def test_a_service_that_is_not_needed_ends_and_begins_again(made: list[Service]) -> None:
    work: list[int] = []
    done: queue.SimpleQueue[int] = queue.SimpleQueue()

    def turn() -> None:
        while work:
            done.put(work.pop())

    service = Service("on demand", turn, every=0.001, needed=lambda: bool(work), lingers=0.0)
    made.append(service)
    for number in range(50):
        # However its end and the next beginning meet, nothing is left lying.
        work.append(number)
        service.start()
        assert done.get(timeout=PATIENCE) == number
    gone = threading.Event()
    while service.is_running:
        gone.wait(0.001)
    assert not service.has_died


def test_waking_it_ends_its_rest(made: list[Service]) -> None:
    turns = Turns()
    service = Service("sleeper", turns, every=3600.0).start()
    made.append(service)
    turns.wait()
    service.wake()
    assert turns.wait() == 2


def test_a_child_process_has_services_that_never_began() -> None:
    turns = Turns()
    service = Service("parent", turns, every=0.01).start()
    turns.wait()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"running" if service.is_running or dead() else b"forgotten")
        os._exit(0)
    os.close(writer)
    assert os.read(reader, 100) == b"forgotten"
    os.waitpid(child, 0)
    assert service.is_running
    assert service.stop()


def test_a_call_in_the_background_that_fails_is_logged() -> None:
    def fail() -> None:
        raise ValueError("no")

    with capture_logs() as logs:
        once("call", fail).join(PATIENCE)
    assert [line["event"] for line in logs] == ["background_call_failed"]


def test_a_group_is_everything_that_came_while_the_last_one_was_written() -> None:
    groups: list[list[int]] = []
    writing, go_on = threading.Event(), threading.Event()

    def write(group: list[int]) -> None:
        groups.append(group)
        writing.set()
        assert go_on.wait(PATIENCE)

    commit: GroupCommit[int] = GroupCommit("groups", write)
    commit.put(0)
    assert writing.wait(PATIENCE)
    for number in range(1, 100):
        commit.put(number)
    go_on.set()
    commit.stop(PATIENCE)
    assert groups == [[0], list(range(1, 100))]


def test_a_group_waits_for_more_as_long_as_it_is_told_to_and_the_end_waits_for_nothing() -> None:
    groups: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
    commit: GroupCommit[int] = GroupCommit(
        "groups", groups.put, wait=lambda group: 0.0 if len(group) == 3 else 10 * PATIENCE
    )
    for number in range(3):
        commit.put(number)
    assert groups.get(timeout=PATIENCE) == [0, 1, 2]
    commit.put(3)
    commit.stop(PATIENCE)
    assert groups.get(timeout=PATIENCE) == [3]


def test_a_group_for_which_nobody_else_comes_is_written_when_its_time_is_over() -> None:
    groups: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
    commit: GroupCommit[int] = GroupCommit("groups", groups.put, wait=lambda group: 0.001)
    commit.put(1)
    assert groups.get(timeout=PATIENCE) == [1]
    commit.stop(PATIENCE)


def test_a_group_that_fails_does_not_stop_the_next_one() -> None:
    seen: queue.SimpleQueue[int] = queue.SimpleQueue()

    def write(group: list[int]) -> None:
        for one in group:
            seen.put(one)
            if one == 1:
                raise ValueError("refused")

    commit: GroupCommit[int] = GroupCommit("groups", write)
    commit.put(1)
    assert seen.get(timeout=PATIENCE) == 1
    commit.put(2)
    assert seen.get(timeout=PATIENCE) == 2
    commit.stop(PATIENCE)


def test_a_process_that_may_have_no_more_threads_can_start_it_later(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns()
    service = Service("late", turns, every=0.001)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            service.start()
    service.start()
    assert turns.wait() == 1
    assert service.stop()


def test_it_is_cleaned_up_before_it_can_begin_again(made: list[Service]) -> None:
    order: list[str] = []
    turns = Turns()
    service = Service(
        "again", turns, every=0.001, begin=lambda: order.append("begin"), clean=lambda: order.append("clean")
    )
    made.append(service)
    for _ in range(20):
        service.start()
        turns.wait()
        assert service.stop()
    assert order == ["begin", "clean"] * 20
