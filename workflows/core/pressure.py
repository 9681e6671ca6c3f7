"""Whether more events may come in.

Note [Back-pressure]
The journal is bounded by what can be served in time, and anyone who is past it is given the time when to come again:
nothing that was accepted is ever trimmed. Events are taken as long as all that wait, and these, can be served within
`bound` at the rate that the consumers showed lately while they were busy. A rate that was not measured yet, or was
measured with little to do, is taken for `min_rate`. Where nothing waits, one request is let in whatever its size.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pressure:
    """What is known of the journal.

    waiting: events. rate: events a second that the live consumers serve together; None: not measured.
    """

    waiting: int = 0
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class PressurePolicy:
    """bound: seconds. min_rate: events a second. max_backlog: events."""

    bound: float
    min_rate: float
    max_backlog: int


def retry_after(events: int, pressure: Pressure, policy: PressurePolicy) -> int | None:
    """None: they may come in. Otherwise the seconds after which there should be room for them."""
    if not events or not pressure.waiting:
        return None
    rate = max(pressure.rate or 0.0, policy.min_rate)
    room = min(rate * policy.bound, policy.max_backlog)
    excess = pressure.waiting + events - room
    if excess <= 0:
        return None
    # More than fits at once: as soon as nothing waits any more.
    return max(1, math.ceil(min(excess, pressure.waiting) / rate))
