"""How often a search that finds nothing is made again: the longer it takes, the more seldom."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Found = TypeVar("Found")


class Pace:
    """After a search that found nothing, none is made for REST times as long as it took. Any thread may use it."""

    REST = 10.0

    def __init__(self) -> None:
        self._next_at = 0.0

    def search(self, look: Callable[[], Sequence[Found]]) -> Sequence[Found]:
        """What `look` finds; nothing while the search rests."""
        began = time.monotonic()
        if began < self._next_at:
            return ()
        found = look()
        if not found:
            ended = time.monotonic()
            self._next_at = ended + self.REST * (ended - began)
        return found
