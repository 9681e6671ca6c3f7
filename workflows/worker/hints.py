"""The messages that this worker has fetched and not yet begun, most urgent first.

Celery hands a message to its threads as it comes in, and they begin in that order: a critical one would wait behind all
that were fetched before it. A message is a hint, so a thread need not take the one that it was called for. Each message
is put here as it comes in, and a thread that begins takes the most urgent one. One in, one out.
(Celery's `worker_disable_prefetch` would do without this, but its loop notices that a thread is free only after up to a
second and a half: measured.)
"""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from workflows.core.states import Lane


class Hints:
    """May be used from any thread."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[list[str]]] = {str(lane): deque() for lane in Lane}

    def put(self, lane: str, run_ids: Sequence[str]) -> None:
        """A message came in from this lane's queue."""
        if lane in self._waiting:
            self._waiting[lane].append(list(run_ids))

    def urgent(self) -> bool:
        """Whether a critical message is here."""
        return bool(self._waiting[Lane.CRITICAL])

    def take(self, otherwise: Sequence[str]) -> list[str]:
        """The runs of the most urgent message, the oldest of its lane first; `otherwise` if nothing was put here."""
        for waiting in self._waiting.values():
            try:
                return waiting.popleft()
            except IndexError:
                continue
        return list(otherwise)

    def all(self) -> list[tuple[str, str]]:
        """Remove every message that nobody has begun, and return its (lane, run id) pairs."""
        found: list[tuple[str, str]] = []
        for lane, waiting in self._waiting.items():
            with suppress(IndexError):
                while True:
                    found += [(lane, run_id) for run_id in waiting.popleft()]
        return found
