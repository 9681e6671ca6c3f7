"""Urgency inside one process: a large start gives way to more urgent ones that came meanwhile.

Note [Giving way]
Python runs one thread at a time and switches every 5 ms, so a bulk start that checks and plans thousands of runs would
cost an urgent start in the next thread 5 ms at each of its waits for PostgreSQL. Therefore the large start pauses
between its pieces while a more urgent start is under way. A pause is bounded: a stream of urgent starts slows a bulk
start down and never stops it. It never pauses inside a transaction, so it holds no lock meanwhile.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from workflows.core.states import Lane

#: seconds of one pause, at most
LONGEST_PAUSE = 0.05

_ORDER = {str(lane): place for place, lane in enumerate(Lane)}
_changed = threading.Condition()
_under_way: Counter[int] = Counter()


class Start:
    """A start that is under way in this process, of one urgency: that of its most urgent run."""

    def __init__(self, place: int) -> None:
        self._place = place

    def give_way(self) -> bool:
        """Wait while more urgent starts are under way, LONGEST_PAUSE at most. Returns whether none is left.

        A start never waits for itself: its own urgency is what it is known by to all others.
        """
        with _changed:
            return _changed.wait_for(lambda: not any(_under_way[other] for other in range(self._place)), LONGEST_PAUSE)


@contextmanager
def starting(lane: str) -> Iterator[Start]:
    """A start of this urgency is under way in this process."""
    place = _ORDER[lane]
    with _changed:
        _under_way[place] += 1
    try:
        yield Start(place)
    finally:
        with _changed:
            _under_way[place] -= 1
            _changed.notify_all()


def alone() -> bool:
    """Whether at most one start is under way in this process."""
    with _changed:
        return sum(_under_way.values()) <= 1
