"""What a worker knows of the lanes it serves: which lanes have waited too long (Note [Ageing] in `core/lanes`), and how
fast the worker serves them."""

import itertools
import threading
import time
from collections.abc import Mapping, Sequence

from erip.foundation.process.pacing import Pace
from workflows import store
from workflows.conf import conf
from workflows.core.lanes import aged, aged_first, measured_rate, portions
from workflows.store import chunks, lacking


class LaneWatch:
    """One per worker process. One thread calls `look` every now and then; any thread may call the other methods."""

    def __init__(self, lanes: Sequence[str]) -> None:
        self._lanes = list(lanes)
        self._oldest: Mapping[str, float] = {}
        self._turns = itertools.count()
        self._pace = Pace()
        self._lock = threading.Lock()
        self._taken = 0
        self._looked_at = time.monotonic()
        #: ready steps per second that this worker takes; None while it was never seen at work
        self.rate: float | None = None

    def look(self) -> None:
        """See what waits in the lanes, and compute the rate since the last look."""
        loads = store.lane_loads(self._lanes, count_to=1)
        self._oldest = {lane: load.oldest for lane, load in loads.items() if load.waiting}
        with self._lock:
            taken, self._taken = self._taken, 0
        now = time.monotonic()
        seconds, self._looked_at = max(now - self._looked_at, 0.001), now
        busy = any(waited >= seconds for waited in self._oldest.values())
        self.rate = measured_rate(self.rate, taken, seconds, busy=busy, assumed=conf().lanes.min_rate)

    def took(self, steps: int) -> None:
        """Count ready steps that this worker claimed."""
        with self._lock:
            self._taken += steps

    def first(self, limit: int) -> list[str]:
        """What to take before the next message, if it is the turn of aged work and there is any: ids of runs, at most
        `limit`, and the token of a chunk; else nothing."""
        lane = aged_first(next(self._turns), aged(self._lanes, self._oldest, conf().lanes))
        if lane is None:
            return []
        return self._search([(lane, limit)], conf().lanes.ages_after(lane), limit)

    def stale(self, limit: int, *, older_than: float) -> list[str]:
        """What to take without a message, likewise: the aged lanes' share first, then by urgency, oldest first."""
        if not self._oldest:
            return []
        order = portions(self._lanes, self._oldest, conf().lanes, limit)
        return self._search(order, older_than, limit)

    def _search(self, order: Sequence[tuple[str, int]], older_than: float, limit: int) -> list[str]:
        def look() -> list[str]:
            return store.stale_ready_runs(order, older_than=older_than, limit=limit)

        # Where this process lacks steps, the search reads past all of them that wait for others, however many.
        runs = list(self._pace.search(look)) if lacking.pairs() else look()
        chunk = chunks.stale(order, older_than=older_than)
        return runs if chunk is None else [*runs, chunk]
