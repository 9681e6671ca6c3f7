import threading

import django.db
import pytest

from console.shared import Shared, SharedBy


def test_many_viewers_read_once() -> None:
    reads = []
    shared = Shared(lambda: reads.append(1) or len(reads), every=60.0)
    found = []
    threads = [threading.Thread(target=lambda: found.append(shared.look().value)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [1] * 20


def test_what_was_read_is_kept_while_the_database_is_away_and_said_to_be_old() -> None:
    answers = iter([1, django.db.OperationalError("away"), 2])

    def read() -> int:
        one = next(answers)
        if isinstance(one, Exception):
            raise one
        return one

    shared = Shared(read, every=60.0)
    assert (shared.look().value, shared.look().fresh) == (1, True)
    shared.forget()
    old = shared.look()
    assert (old.value, old.fresh) == (1, False)
    shared.forget()
    assert (shared.look().value, shared.look().fresh) == (2, True)


def test_what_was_never_read_is_unknown() -> None:
    def read() -> int:
        raise django.db.OperationalError("away")

    look = Shared(read, every=60.0).look()
    assert (look.value, look.at, look.fresh) == (None, None, False)


def test_an_error_that_does_not_pass_is_not_hidden() -> None:
    def read() -> int:
        raise django.db.ProgrammingError("no such column")

    with pytest.raises(django.db.ProgrammingError):
        Shared(read, every=60.0).look()


def test_each_question_is_read_once_and_they_are_bounded() -> None:
    reads: list[int] = []
    shared: SharedBy[int] = SharedBy(every=60.0, most=3)
    for _ in range(2):
        for question in range(3):
            shared.look(question, lambda: reads.append(1) or 0)
    assert len(reads) == 3
    for question in range(100):
        shared.look(question, lambda: 0)
    shared.look(0, lambda: reads.append(1) or 0)
    assert len(reads) == 4


def test_a_question_is_read_anew_as_its_last_caller_reads_it() -> None:
    shared: SharedBy[str] = SharedBy(every=0.0)
    assert shared.look("mine", lambda: "known at first").value == "known at first"
    assert shared.look("mine", lambda: "known now").value == "known now"
