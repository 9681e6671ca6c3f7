"""What shows that a worker does its work, for the heartbeat file (`liveness`).

Note [What is alive]
A worker whose process runs but whose consumer hangs takes no messages, and nobody would notice, because its heartbeats
in PostgreSQL go on. So the file is touched only when the consumer shows one of these:
- it asks the broker for messages (BRPOP goes out, at least every second), or
- it holds as many messages as it may, and its loop turns, or
- it tries to reach a broker that is away, and the worker looks into PostgreSQL for work meanwhile.
That PostgreSQL is away is no reason to kill a worker: another one would fare no better.
"""

import time
from collections.abc import Callable

#: seconds for which what the consumer shows is good: above the time that it takes to give a frozen master up (7 s were
#: seen) and to find out twice that it cannot be reached (two timeouts of 3 s)
GOOD_FOR = 20.0
#: the same for the look into PostgreSQL, which takes longer while that fails over
LOOKED_WITHIN = 30.0


class Pulse:
    """What a worker's parts showed last. Any thread may use it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._polled = self._reconnecting = self._looked = clock()

    def polled(self) -> None:
        """The consumer asked for messages, or may have no more."""
        self._polled = self._clock()

    def reconnecting(self) -> None:
        """The consumer tried to reach the broker in vain."""
        self._reconnecting = self._clock()

    def looked(self) -> None:
        """The worker looked, or tried to look, into PostgreSQL for work without a message."""
        self._looked = self._clock()

    def lives(self) -> bool:
        """Whether the worker does its work: Note [What is alive]."""
        now = self._clock()
        if now - self._polled <= GOOD_FOR:
            return True
        return now - self._reconnecting <= GOOD_FOR and now - self._looked <= LOOKED_WITHIN


pulse = Pulse()
