"""When a request's events wait for those of other requests, to be committed with them.

Note [Shared commits]
A block for each partition, a commit and an entry of the audit log are what a request of events costs PostgreSQL, and
the blocks cost the consumer once more: four requests in one commit cost a third of one by one. What comes in during a
commit shares the next one anyway (`group_commit`). Requests that come at their own times, as from many senders, seldom
meet that way before the machine is full. So a request waits for others, for GATHER of the consumers' own
`ERIP_EVENT_FLUSH_SECONDS` from when it came, if in the last second
- events came at EVENTS_FROM a second to this process: at fewer, there is time for a commit each; and
- at least CROWD requests were unanswered at once, as they are where many send or the machine is full; and
- so many requests came while another was unanswered that one more can be expected within the wait.
It waits no longer once ENOUGH events are there, or as many requests as were unanswered at once in that second or this
one: where all senders wait for their answers, nobody else will come.

Senders who wait for each answer send less when they are made to wait, and from here they look like any others: those
who meet often could hold one another up for as long as they send. What tells them apart is what comes of it. So when in
two seconds of waiting, one upon the other, fewer events came than KEPT of those in the last two without, nobody waits
for a while: RESTS seconds, at first the shorter, twice as long each time, until waiting costs nothing. Two, because one
is short of events whenever this process stands still for a moment, and has too many after that.
"""

import threading
from collections import deque
from dataclasses import dataclass
from statistics import fmean
from typing import Final

#: of the seconds for which consumers let events gather
GATHER: Final = 0.4
#: events a second in one process
EVENTS_FROM: Final = 2_000.0
#: events in one commit for which it is not worth while to wait for more
ENOUGH: Final = 1_000
#: seconds over which requests are counted
WINDOW: Final = 1.0
#: requests that were unanswered at once, at least
CROWD: Final = 5
#: of the events that come in a second
KEPT: Final = 0.5
RESTS: Final = (4.0, 64.0)


@dataclass(slots=True)
class _Counted:
    """What was seen in one window."""

    events: int = 0
    #: requests that came while another was unanswered
    joined: int = 0
    #: seconds in which at least one was unanswered
    busy: float = 0.0
    #: requests that were unanswered at once
    most: int = 0
    #: whether any had to wait for others
    waited: bool = False


class Sharing:
    """Counts requests; any thread may use it. Times are on the monotonic clock."""

    def __init__(self, now: float) -> None:
        self._lock = threading.Lock()
        self._began = self._seen = now
        self._unanswered = 0
        self._last, self._now = _Counted(), _Counted()
        #: events a second of the last two windows in which nobody waited, and in which somebody did since
        self._plain: deque[float] = deque(maxlen=2)
        self._shared: deque[float] = deque(maxlen=2)
        #: until when nobody waits, and for how long the next time
        self._rests_until, self._rest = now, RESTS[0]

    def came(self, events: int, now: float) -> None:
        """A request with this many events came in."""
        with self._lock:
            self._turn(now)
            counted = self._now
            counted.events += events
            counted.joined += self._unanswered > 0
            self._unanswered += 1
            counted.most = max(counted.most, self._unanswered)

    def answered(self, now: float) -> None:
        """One of those that came was answered."""
        with self._lock:
            self._turn(now)
            self._unanswered -= 1

    def wait(self, requests: int, events: int, since: float, flush: float, now: float) -> float:
        """Seconds for which these requests shall wait for more; 0: write them.

        requests, events: how many there are. since: when the first one came. flush: how long consumers let events
        gather
        """
        with self._lock:
            self._turn(now)
            last, crowd = self._last, max(self._last.most, self._now.most)
            gather = flush * GATHER
            if events >= ENOUGH or requests >= crowd or now < self._rests_until:
                return 0.0
            if last.events < EVENTS_FROM * WINDOW or crowd < CROWD or last.joined * gather < last.busy:
                return 0.0
            left = max(0.0, since + gather - now)
            self._now.waited |= left > 0
            return left

    def _turn(self, now: float) -> None:
        """Count the time that went by, and begin a new window when the last one is over."""
        if self._unanswered:
            self._now.busy += max(0.0, min(now - self._seen, WINDOW))
        self._seen = now
        over = now - self._began
        if over >= WINDOW:
            self._judge(self._now, over, now)
            self._last = self._now if over < 2 * WINDOW else _Counted()
            self._now = _Counted(most=self._unanswered)
            self._began = now

    def _judge(self, window: _Counted, seconds: float, now: float) -> None:
        """Whether it was worth while to wait."""
        rate = window.events / seconds
        if not window.waited:
            self._plain.append(rate)
            self._shared.clear()
            return
        self._shared.append(rate)
        if len(self._shared) < 2 or not self._plain:
            return
        if fmean(self._shared) >= KEPT * fmean(self._plain):
            self._rest = RESTS[0]
        else:
            self._rests_until = now + self._rest
            self._rest = min(2 * self._rest, RESTS[1])
            self._shared.clear()
