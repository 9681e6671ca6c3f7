"""Whether more events may come in.

Note [Back-pressure]
The journal holds no more than can be served in time. A sender over the limit is refused and learns when to try again;
nothing that was accepted is ever trimmed. Events are accepted as long as they and all that already wait can be served
within `bound`, at the rate that the consumers showed lately while they were busy. If the rate was not measured yet, or
only with little to do, `min_rate` is used. Where nothing waits, one request is let in whatever its size.
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
    """None if they may come in; otherwise the seconds after which there should be room for them."""
    if not events or not pressure.waiting:
        return None
    rate = max(pressure.rate or 0.0, policy.min_rate)
    room = min(rate * policy.bound, policy.max_backlog)
    excess = pressure.waiting + events - room
    if excess <= 0:
        return None
    # More than ever fits at once: they may come in as soon as nothing waits.
    return max(1, math.ceil(min(excess, pressure.waiting) / rate))
