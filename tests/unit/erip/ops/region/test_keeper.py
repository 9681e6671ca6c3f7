"""What a keeper does with the answers of the witness, and without one. With PostgreSQL and etcd: tests/crash."""

import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from erip.ops.guard.etcd import EtcdError
from erip.ops.region.configuration import Configuration
from erip.ops.region.ends import End
from erip.ops.region.keeper import CONTROL, FENCED, Keeper
from erip.ops.region.witness import Term, Witness
from tests.workers import until

EAST = Term(1, "east", False, None)


class Answers:
    """A witness that says what a test wants. refuses: names of questions that fail."""

    def __init__(self) -> None:
        self.term: Callable[[], Term | None] = lambda: EAST
        self.kept, self.refuses = 0, set[str]()
        self.ended: End | None = None

    def _ask(self, name: str) -> None:
        if name in self.refuses:
            raise EtcdError("nobody answers")

    def held(self, region: str, node: str) -> int:
        self._ask("held")
        return self.kept

    def register(self, region: str, node: str, held: int) -> None:
        self._ask(f"register {held}")
        self.kept = held

    def said(self, region: str, node: str) -> int:
        return 0

    def say_fenced(self, number: int, region: str, node: str, end: End | None) -> None:
        self.ended = end


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "global").mkdir()
    (tmp_path / CONTROL).write_bytes(b"x")
    return tmp_path


@pytest.fixture
def witness() -> Answers:
    return Answers()


@pytest.fixture
def keeper(data: Path, witness: Answers) -> Callable[[float], Keeper]:
    def made(hold: float) -> Keeper:
        said = Configuration("erip", "east", "one", data, hold, ("true",), (("127.0.0.1", 1),))
        return Keeper(said, cast("Witness", witness))

    return made


def test_the_region_whose_turn_it_is_is_not_fenced_for_a_note_that_failed(keeper, witness, data: Path) -> None:
    one = keeper(300.0)
    witness.refuses = {"register 1"}

    assert one.round() is True
    assert (data / CONTROL).exists()
    witness.refuses = set()
    one.round()
    assert witness.kept == 1
    assert (data / CONTROL).exists()


def test_it_fences_in_time_while_a_question_is_under_way(keeper, witness, data: Path) -> None:
    one = keeper(0.3)
    until(lambda: one.round() and one._told, seconds=30, what="it is told that it may write")
    asked, answered = threading.Event(), threading.Event()

    def never_in_time() -> Term:
        asked.set()
        answered.wait(60)
        return EAST

    witness.term = never_in_time
    question = threading.Thread(target=one.round, daemon=True)
    question.start()
    assert asked.wait(30)
    since = time.monotonic()

    def fenced() -> bool:
        one.look()
        return (data / FENCED).exists()

    until(fenced, seconds=30, what="it is fenced although nobody has answered")
    assert question.is_alive()
    # The answer is from before: it opens nothing. The next one does.
    until(lambda: time.monotonic() > since + 0.5, seconds=30, what="the answer is old")
    answered.set()
    question.join(30)
    assert (data / FENCED).exists()
    witness.term = lambda: EAST
    until(lambda: one.round() and (data / CONTROL).exists(), seconds=30, what="it is open again")


def test_a_copy_that_was_never_told_that_it_may_write_is_not_fenced_by_the_clock(keeper, witness, data: Path) -> None:
    (data / "standby.signal").touch()
    one = keeper(0.01)
    witness.term = lambda: Term(2, "west", False, None)
    assert one.round() is True
    # It is promoted the moment that the other region has fenced, before this keeper asks again.
    (data / "standby.signal").unlink()
    one.look()
    assert (data / CONTROL).exists()


def test_nothing_is_ready_before_there_was_an_answer_or_a_fence(keeper, witness, data: Path) -> None:
    witness.refuses = {"held"}
    one = keeper(300.0)
    assert one.round() is False
    assert (data / CONTROL).exists()
    late = keeper(0.01)
    until(lambda: late.round(), seconds=30, what="it has waited long enough")
    assert (data / FENCED).exists()


@pytest.mark.parametrize(
    ("state", "end"),
    [
        (1, End("ended", 0x5_A000_0028)),
        # in production, and while it ends: it was killed
        (6, End("killed")),
        (3, End("killed")),
        (None, None),
    ],
)
def test_it_says_how_postgresql_ended(keeper, witness, data: Path, state: int | None, end: End | None) -> None:
    control = b"" if state is None else struct.pack("=16xI12xQ", state, 0x5_A000_0028)
    (data / CONTROL).write_bytes(control)
    one = keeper(300.0)
    assert one.round()
    witness.term = lambda: Term(2, "west", False, None)
    one.round()
    assert (data / FENCED).exists()
    assert witness.ended == end


def test_a_copy_had_nothing_of_its_own(keeper, witness, data: Path) -> None:
    (data / "standby.signal").touch()
    witness.term = lambda: Term(2, "west", False, None)
    keeper(300.0).round()
    assert witness.ended == End("followed")
