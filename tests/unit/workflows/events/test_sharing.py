"""When requests of events wait for one another: Note [Shared commits] in `workflows.events.sharing`."""

import heapq
import random
from collections.abc import Callable

import pytest

from workflows.events.sharing import ENOUGH, GATHER, Sharing

FLUSH = 0.1
WRITE = 0.006
BATCH = 100


class Door:
    """A writer that commits in groups, on a clock of its own, and the requests that come to it."""

    def __init__(self, *, flush: float = FLUSH) -> None:
        self.now = 0.0
        self.flush = flush
        self.sharing = Sharing(0.0)
        self.waiting: list[tuple[float, int, Callable[[], None]]] = []
        self.free_at = 0.0
        self.groups: list[int] = []
        #: seconds from a request to its answer, by sender
        self.took: dict[str, list[float]] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, moment: float, act: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._due, (moment, self._number, act))

    def send(self, sender: str, events: int, then: Callable[[], None] = lambda: None) -> None:
        self.sharing.came(events, self.now)
        came = self.now

        def answered() -> None:
            self.sharing.answered(self.now)
            self.took.setdefault(sender, []).append(self.now - came)
            then()

        self.waiting.append((came, events, answered))
        self._look()

    def run(self, seconds: float) -> None:
        while self._due and self._due[0][0] <= seconds:
            self.now, _, act = heapq.heappop(self._due)
            act()

    def _look(self) -> None:
        if not self.waiting or self.now < self.free_at:
            return
        events = sum(size for _, size, _ in self.waiting)
        wait = self.sharing.wait(len(self.waiting), events, self.waiting[0][0], self.flush, self.now)
        if wait > 0:
            self.at(self.now + wait, self._look)
            return
        group, self.waiting = self.waiting, []
        self.groups.append(len(group))
        self.free_at = self.now + WRITE

        def done() -> None:
            for _, _, answered in group:
                answered()
            self._look()

        self.at(self.free_at, done)

    # --- who sends

    def steadily(self, sender: str, rate: float, seconds: float, events: int = BATCH, seed: int = 1) -> None:
        """At moments of its own, whether it was answered or not."""
        chance, moment = random.Random(seed), 0.0
        while (moment := moment + chance.expovariate(rate)) < seconds:
            self.at(moment, lambda: self.send(sender, events))

    def in_turn(self, sender: str, seconds: float, events: int = BATCH, think: float = 0.002) -> None:
        """The next one when the last was answered."""

        def again() -> None:
            if self.now < seconds:
                self.at(self.now + think, lambda: self.send(sender, events, again))

        again()


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_under_load_requests_that_come_at_their_own_times_share_commits() -> None:
    alone, shared = Door(flush=0.0), Door()
    for door in (alone, shared):
        door.steadily("many", 100, 20)
        door.run(25)
    assert mean(alone.groups) < 1.5
    assert mean(shared.groups[50:]) > 2.3
    assert len(shared.took["many"]) == len(alone.took["many"]), "everybody is answered"
    assert max(shared.took["many"]) <= FLUSH * GATHER + 2 * WRITE + 1e-9


@pytest.mark.parametrize("neighbour", [0, 0.5, 2, 4])
def test_who_waits_for_each_answer_is_not_slower_alone_nor_beside_a_few_others(neighbour: float) -> None:
    door = Door()
    door.in_turn("caller", 20)
    if neighbour:
        door.steadily("neighbour", neighbour, 20, events=1)
    door.run(25)
    assert max(door.took["caller"]) <= 2 * WRITE + 1e-9
    if not neighbour:
        assert max(door.took["caller"]) <= WRITE + 1e-9


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rate", [8, 20, 30, 50, 80])
def test_who_waits_for_each_answer_is_hardly_held_up_by_a_neighbour_who_comes_often(rate: float, seed: int) -> None:
    """Where others come as often as 50 times a second, they share commits, and the caller waits for them, too: what it
    loses is bounded by what all send together."""
    alone, beside = Door(flush=0.0), Door()
    for door in (alone, beside):
        door.in_turn("caller", 60)
        door.steadily("neighbour", rate, 60, events=1, seed=seed)
        door.run(65)
    assert len(beside.took["caller"]) > (0.8 if rate < 50 else 0.45) * len(alone.took["caller"])


@pytest.mark.parametrize("seldom", [2, 4, 6, 10])
@pytest.mark.parametrize("think", [0.03, 0.039, 0.08])
def test_nor_are_two_by_many_who_seldom_send(think: float, seldom: int) -> None:
    """Where waiting costs less than half, it goes on: the many have the better of it."""
    alone, beside = Door(flush=0.0), Door()
    for door in (alone, beside):
        for number in range(2):
            door.in_turn("caller", 60, think=0.002 + 0.001 * number)
        for number in range(seldom):
            door.in_turn("seldom", 60, events=1, think=think + 0.003 * number)
        door.run(65)
    assert len(beside.took["caller"]) > (0.8 if seldom == 2 else 0.45) * len(alone.took["caller"])


@pytest.mark.parametrize("callers", [2, 4, 8])
def test_where_all_wait_for_their_answers_nobody_waits_for_who_will_not_come(callers: int) -> None:
    door = Door()
    for number in range(callers):
        door.in_turn("all", 20, think=0.001 * (1 + number))
    door.run(25)
    # The slowest one's pause, and the write under way.
    assert max(door.took["all"]) <= 2 * WRITE + 0.001 * callers + 1e-9


def test_at_few_events_each_request_is_written_at_once() -> None:
    door = Door()
    door.steadily("many", 60, 20, events=10)
    door.run(25)
    assert max(door.took["many"]) <= 2 * WRITE + 1e-9


def test_nobody_waits_for_more_than_enough() -> None:
    door = Door()
    door.steadily("many", 60, 20, events=ENOUGH)
    door.run(25)
    assert max(door.took["many"]) <= 2 * WRITE + 1e-9


def test_after_a_pause_nothing_is_left_of_what_was_seen_before_it() -> None:
    door = Door()
    door.steadily("many", 60, 5)
    door.run(7)
    door.now = 9.0
    door.send("late", BATCH)
    door.run(30)
    assert door.took["late"] == [pytest.approx(WRITE)]
