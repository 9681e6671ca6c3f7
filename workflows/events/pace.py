"""How fast events come in, and how fast a loop serves them."""

import time
from collections.abc import Mapping
from typing import Final

#: at this many events a second a loop lets them gather for all of `flush`; at fewer, for a shorter time
GATHER_AT: Final = 2_000.0
#: at fewer events a second than this a loop does not wait
GATHER_FROM: Final = 100.0
#: events that a round must have to show how fast this loop is
TELLING: Final = 200


class Pace:
    """Used by the loop's thread only; other threads read `capacity`."""

    def __init__(self) -> None:
        #: events a second that it can serve, measured while it was busy; None: not yet
        self.capacity: float | None = None
        self._inflow = 0.0
        self._last = time.monotonic()
        self._rates: dict[int, tuple[float, float]] = {}

    def took(self, events: int, seconds: float) -> None:
        """Record that a round took this many events, in this many seconds."""
        now = time.monotonic()
        since, self._last = max(now - self._last, 0.001), now
        weight = min(1.0, since / 0.5)
        self._inflow += weight * (events / since - self._inflow)
        if events >= TELLING:
            speed = events / max(seconds, 0.0001)
            self.capacity = speed if self.capacity is None else self.capacity + 0.2 * (speed - self.capacity)

    def gather(self, flush: float) -> float:
        """Seconds for which to let events gather before the next round."""
        return 0.0 if self._inflow < GATHER_FROM else flush * min(1.0, self._inflow / GATHER_AT)

    def rates(self, events: Mapping[int, int]) -> dict[int, float | None]:
        """The rate at which events were taken from each partition: events a second, over the last seconds."""
        now = time.monotonic()
        rates: dict[int, float | None] = {}
        for partition, count in events.items():
            rate, at = self._rates.get(partition, (0.0, now - 1.0))
            since = max(now - at, 0.001)
            rate += min(1.0, since / 2.0) * (count / since - rate)
            self._rates[partition] = (rate, now)
            rates[partition] = rate
        return rates
