"""Places in a pool: who waits longest comes first, and a pool grows by a few connections at a time."""

import threading
from collections.abc import Callable

from erip.foundation.db.pooled.turns import Turns
from tests.workers import until


def _waiter(turns: Turns, got: list[int], number: int) -> threading.Thread:
    def take() -> None:
        if turns.take(10):
            got.append(number)

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    return thread


def _waiting(turns: Turns, number: int) -> Callable[[], bool]:
    return lambda: len(turns._waiting) == number


def test_no_more_places_are_out_than_are_allowed_and_those_that_come_back_go_to_who_waits():
    # Given ten places, of which two are allowed after a failover
    turns = Turns(10)
    turns.allow(2)
    assert turns.take(0)
    assert turns.take(0)
    # When a third and a fourth are asked for
    assert not turns.take(0)
    got: list[int] = []
    threads = [_waiter(turns, got, 3)]
    until(_waiting(turns, 1), seconds=60)
    threads.append(_waiter(turns, got, 4))
    until(_waiting(turns, 2), seconds=60)
    # Then one that comes back serves the first of them, and one more that is allowed the second
    turns.give()
    until(lambda: got == [3], seconds=60)
    turns.allow(3)
    until(lambda: got == [3, 4], seconds=60)
    assert turns.free == 0


def test_places_that_were_out_when_fewer_were_allowed_come_back_without_being_given_again():
    turns = Turns(4)
    assert all(turns.take(0) for _ in range(4))
    turns.allow(2)
    turns.give()
    turns.give()
    assert not turns.take(0)
    turns.give()
    assert turns.take(0)
