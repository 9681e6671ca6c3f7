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
    signal.signal(signal.SIGTERM, before)


def test_who_has_begun_nothing_ends_with_0_and_leaves_no_handler(heard: list[int]) -> None:
    with pytest.raises(SystemExit) as ended, ends_when_told():
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 0
    assert heard == []
    signal.raise_signal(signal.SIGTERM)
    assert heard == [signal.SIGTERM]


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
