"""Group commit: one thread takes everything that came in while it was writing the last group, and writes it at once.

One piece alone is written immediately (lowest latency), a thousand that come together share a transaction (highest
throughput). There is no timer and nothing to tune, unless the owner says for how long a group may wait for more.
"""

import queue
from collections.abc import Callable
from typing import Generic, TypeVar

from erip.foundation.process.background import database_service

Work = TypeVar("Work")


class GroupCommit(Generic[Work]):
    """Hands groups to `write`, in the order in which the pieces came. `put` may be called from any thread."""

    def __init__(
        self,
        name: str,
        write: Callable[[list[Work]], None],
        *,
        wait: Callable[[list[Work]], float] | None = None,
        keeps: bool = True,
        unhurried: bool = False,
    ) -> None:
        """write: gets at least one piece, in the service's thread. It settles each of them, also when it fails.

        wait: says for how many seconds from now a group waits for one more piece; 0: it is written. It is asked
        whenever nothing else is there, and must not raise.

        keeps, unhurried: as in `database_service`.
        """
        self._write = write
        self._wait = wait
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        # No rest after a failed group: the next group belongs to other callers.
        self._service = database_service(name, self._turn, keeps=keeps, unhurried=unhurried, back_off=(0.0, 0.0))
        self._service.start()

    def put(self, work: Work) -> None:
        """Add it to the next group to be written."""
        self._queue.put(work)

    def stop(self, seconds: float) -> None:
        """Write what was put, then end; give up after `seconds`."""
        self._queue.put(None)
        self._service.join(seconds)

    def _turn(self) -> None:
        group, last = self._take()
        try:
            if group:
                self._write(group)
        finally:
            if last:
                self._service.stop(0)

    def _take(self) -> tuple[list[Work], bool]:
        """All the pieces that are there; waits for the first, and for more as long as `wait` says. The second value:
        whether this is the last group."""
        group: list[Work] = []
        work = self._queue.get()
        while work is not None:
            group.append(work)
            try:
                work = self._following(group)
            except queue.Empty:
                return group, False
        return group, True

    def _following(self, group: list[Work]) -> Work | None:
        """The next piece of this group. Raises queue.Empty."""
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            seconds = self._wait(group) if self._wait is not None else 0.0
            if seconds <= 0:
                raise
        return self._queue.get(timeout=seconds)
