"""Owners that are killed with events in hand, one after the other: an event is set aside only if it is the cause."""

from collections.abc import Callable
from itertools import product

import pytest

from tests.support.events import accept, event, new_worker
from workflows.events.apart import Apart
from workflows.events.effects import Round
from workflows.events.loop import Loop
from workflows.events.models import Block, DeadLetter, Event, Partition
from workflows.events.store import months, owners
from workflows.events.store.owners import Owners

pytestmark = pytest.mark.django_db(transaction=True)

EVENTS = 12


class Killed(BaseException):
    """In place of a signal: what was not committed is rolled back, and nothing of the owner runs after it."""


class Killer:
    """An effect in which the process is killed. kills: whether it is, asked for each round."""

    name = "killer"

    def __init__(self, kills: Callable[[Round], bool]) -> None:
        self._kills = kills

    def apply(self, round: Round) -> None:
        if self._kills(round):
            raise Killed

    def plan(self, target: str, events: object) -> dict[str, int]:
        return {}


@pytest.fixture
def partition() -> int:
    owners.ensure_partitions(16)
    months.ensure_months_ahead(1)
    accept([event(id=f"{number}") for number in range(EVENTS)])
    (number,) = set(Block.objects.values_list("partition", flat=True))
    return number


def consume(partition: int, kills: Callable[[Round], bool]) -> bool:
    """A new owner takes the partition of the dead one and consumes. Returns whether it lived until nothing waited."""
    worker = new_worker()
    loop = Loop(worker, [Killer(kills)], Apart(), index=0, count=1)
    # No heartbeat is sent, so whoever owned it is taken for dead.
    loop._settle(
        Owners(
            live=frozenset([worker]),
            owners=dict(Partition.objects.filter(pk=partition).values_list("number", "owner_id")),
        )
    )
    try:
        for _ in range(4 * EVENTS):
            loop._take()
            if not Block.objects.exists():
                return True
    except Killed:
        return False
    raise AssertionError("it came to no end")


def ids() -> list[str]:
    return list(Event.objects.order_by("partition", "position").values_list("event_id", flat=True))


def test_an_event_in_hand_when_three_owners_are_killed_is_not_set_aside(partition: int) -> None:
    for _ in range(3):
        assert not consume(partition, lambda round: True)
    assert Partition.objects.get(pk=partition).suspect_tries == 0
    assert consume(partition, lambda round: False)

    assert ids() == [str(number) for number in range(EVENTS)]
    assert not DeadLetter.objects.exists()


@pytest.mark.parametrize("places", [*product((1, 2, 3), (2, 3), (2, 3), (2, 3))])
def test_owners_killed_again_and_again_cost_no_event_that_is_tried_to_its_end_once(
    partition: int, places: tuple[int, ...]
) -> None:
    """After two, events are tried one at a time, and each owner has one in hand when it is killed, in this round of
    its own. The next owner lives through that one, and is killed later."""
    for place in (1, 1, *places):
        rounds = iter(range(1, 100))
        assert not consume(partition, lambda round, place=place, rounds=rounds: next(rounds) == place)
    assert consume(partition, lambda round: False)

    assert ids() == [str(number) for number in range(EVENTS)]
    assert not DeadLetter.objects.exists()


@pytest.mark.parametrize("place", [0, 2, EVENTS - 1])
def test_an_event_that_kills_whoever_takes_it_is_set_aside_after_four_and_nothing_else_is(
    partition: int, place: int
) -> None:
    deaths = 0
    while not consume(partition, lambda round: any(one.id == str(place) for one in round.events)):
        deaths += 1
        assert deaths < 6

    assert deaths == 4
    letter = DeadLetter.objects.get()
    assert (letter.event_id, letter.code, letter.attempts) == (str(place), "process_lost", 4)
    assert ids() == [str(number) for number in range(EVENTS) if number != place]


def test_an_owner_that_notes_an_event_twice_is_one_owner(partition: int) -> None:
    worker = new_worker()
    owners.claim(worker, [partition], lease=60.0)
    noted = [owners.suspect(worker, partition, first=first) for first in (True, False, True, False)]
    assert [(one.again, one.tries) for one in noted if one] == [(False, 0), (True, 0), (True, 0), (True, 1)]
