"""Rounds of one process that run side by side, or with nothing else beside them: Note [Deaths] in `faults`."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Apart:
    """Shared by the loops of one consumer. A round that is apart waits for the rounds under way, and others wait for
    it."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._under_way = 0
        self._apart = False

    @contextmanager
    def beside_others(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._apart)
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._apart)
            self._apart = True
            self._changed.wait_for(lambda: self._under_way == 0)
        try:
            yield
        finally:
            with self._changed:
                self._apart = False
                self._changed.notify_all()
