"""Note [Told early] in `early_end`. A real worker: tests/crash/test_told_early.py."""

import os
import signal
from collections.abc import Iterator

import pytest

from erip.foundation.process.early_end import ends_when_told, note_when_told, tell_again


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """What a handler heard, which is in place before and after."""
    got: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: got.append(number))
    yield got
    # What was noted is told here, and to no other test.
    signal.signal(signal.SIGTERM, lambda *_: None)
    tell_again()
    signal.signal(signal.SIGTERM, before)


def test_who_has_begun_nothing_ends_with_0_and_leaves_no_handler(heard: list[int]) -> None:
    with pytest.raises(SystemExit) as ended, ends_when_told():
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 0
    assert heard == []
    signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGTERM]


class Told:
    """SIGTERM comes while it is thrown away: Python drops what is raised there."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_who_is_told_where_an_exception_is_dropped_ends_all_the_same(heard: list[int]) -> None:
    went_on: list[bool] = []

    def begin() -> None:
        with ends_when_told():
            Told()
            went_on.append(True)

    with pytest.raises(SystemExit) as ended:
        begin()
    assert went_on, "it was dropped"
    assert ended.value.code == 0
    assert heard == []


def test_who_was_told_before_begins_nothing(heard: list[int]) -> None:
    note_when_told()
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, ends_when_told():
        pytest.fail("it begins")
    assert ended.value.code == 0


def test_who_is_beginning_is_told_again_once_somebody_listens(heard: list[int]) -> None:
    listener = signal.getsignal(signal.SIGTERM)
    note_when_told()
    tell_again()
    os.kill(os.getpid(), signal.SIGTERM)
    assert heard == []
    signal.signal(signal.SIGTERM, listener)
    tell_again()
    tell_again()
    assert heard == [signal.SIGTERM]
