"""Who goes first, and who is turned away: the lanes' policy. Pure; `worker`, `ageing` and `admission` carry it out.

Note [Ageing]
Workers take lanes in order of urgency. Strict order alone would starve: a constant flood of `high` would hold `bulk`
back for ever. So each lane has a bound, and work that has waited for a share of it (`ageing_at`) is aged: one turn in
`AGED_TURN` takes aged work before anything else; lanes with aged work share these turns. The share is also an upper
bound: a heap of aged bulk work takes at most that part of the workers from urgent work.

Note [Admission]
A lane takes more while all that waits in it, and in the lanes before it, can be served within its bound at the rate
that the workers showed lately, and while its oldest work is within the bound. Once its work ages, the lane has only its
share of the turns, and admits only what that share can serve in the rest of the bound. Before a rate was measured the
lane takes what `min_rate` can serve, which may be a twentieth of what its workers can do: so a refusal by a
lane that is served does not reckon with it, but asks to come again when a rate is known. The least urgent work is
always turned away first: while a lane refuses even a single run, every lane behind it refuses too. `critical` never
refuses.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workflows.core.states import Lane

#: one turn in this many goes to aged work first
AGED_TURN = 3
#: the part of the workers that aged work gets, no less and no more: one turn beside AGED_TURN others
AGED_SHARE = 1 / (AGED_TURN + 1)
#: seconds within which workers that have something to do have shown a rate, and reported it
RATE_KNOWN_AFTER = 2.0
#: weight of the newest observation in a worker's measured rate
RATE_WEIGHT = 0.2


@dataclass(frozen=True, slots=True)
class LaneLoad:
    """What waits in a lane, and how fast it is served."""

    #: steps that are ready and claimed by nobody
    waiting: int = 0
    #: seconds that the oldest of them has waited
    oldest: float = 0.0
    #: ready steps per second that its workers took lately; None: not measured yet
    rate: float | None = None
    #: whether anybody serves it
    served: bool = False


@dataclass(frozen=True, slots=True)
class LanePolicy:
    #: by lane: seconds within which admitted work starts
    bounds: Mapping[str, float]
    #: share of the bound after which waiting work is aged
    ageing_at: float
    #: ready steps per second that the workers are assumed to take at least, even before anything was measured
    min_rate: float
    #: steps that may wait in a lane at most, however fast the workers are
    max_backlog: int

    def ages_after(self, lane: str) -> float:
        """Seconds after which work in this lane goes first."""
        return self.bounds[lane] * self.ageing_at


@dataclass(frozen=True, slots=True)
class Refusal:
    """A lane takes no more for now."""

    lane: str
    #: the lane that is over its limit: this one, or one that is more urgent
    because: str
    #: runs that it would have taken
    room: int
    #: seconds after which asking again makes sense
    retry_after: int


def urgency(lanes: Sequence[str]) -> list[str]:
    """These lanes, most urgent first."""
    return [str(lane) for lane in Lane if lane in lanes]


# --- the workers' order -----------------------------------------------------------------------------------


def aged(lanes: Sequence[str], oldest: Mapping[str, float], policy: LanePolicy) -> list[str]:
    """The lanes whose oldest work is aged, most urgent first.

    oldest: seconds that the oldest ready step of a lane has waited; a lane without any is absent.
    """
    return [lane for lane in urgency(lanes) if oldest.get(lane, -1.0) >= policy.ages_after(lane)]


def aged_first(turn: int, late: Sequence[str]) -> str | None:
    """The aged lane that goes first at the turn with this number (0, 1, …), if any does. The lanes rotate, no matter
    which is latest, so a lane that is hopelessly late holds no other lane back."""
    if not late or turn % AGED_TURN:
        return None
    return late[turn // AGED_TURN % len(late)]


def portions(lanes: Sequence[str], oldest: Mapping[str, float], policy: LanePolicy, room: int) -> list[tuple[str, int]]:
    """(lane, limit) in the order to take from, until `room` is full: the aged lanes' share, then by urgency."""
    late = aged(lanes, oldest, policy)
    each = math.ceil(room * AGED_SHARE / len(late)) if late else 0
    return [(lane, each) for lane in late] + [(lane, room) for lane in urgency(lanes)]


def measured_rate(
    before: float | None, taken: int, seconds: float, *, busy: bool, assumed: float = math.inf
) -> float | None:
    """A worker's rate after it took `taken` ready steps in `seconds`. None: it was never seen at work.

    busy: whether there was more to take all the while. Only then is a small number a measure of what the worker can do;
    an idle one keeps the rate that it once showed.
    assumed: what workers are credited with before they were measured. One that did more has shown it, however short its
    work was.
    """
    now = taken / seconds
    if before is None:
        return now if taken and (busy or now > assumed) else None
    return before + RATE_WEIGHT * (now - before) if busy else max(before, now)


# --- admission --------------------------------------------------------------------------------------------


def refusal(lane: str, runs: int, loads: Mapping[str, LaneLoad], policy: LanePolicy) -> Refusal | None:
    """Why `runs` more runs cannot be let into `lane` now; None if they can. See Note [Admission]."""
    ahead = 0
    late = len(aged(list(Lane), {name: load.oldest for name, load in loads.items() if load.waiting}, policy))
    for other in Lane:
        load = loads.get(other, LaneLoad())
        ahead += load.waiting
        wanted = runs if other == lane else 1
        # Where nothing waits, a request of any allowed size is admitted: otherwise it could never be sent.
        always = other is Lane.CRITICAL or ahead == 0
        room = wanted if always else _room(other, ahead, load, late, policy)
        if room < wanted:
            return Refusal(lane, other, room if other == lane else 0, _rest(other, wanted - room, load, policy))
        if other == lane:
            break
    return None


def _rate(load: LaneLoad, policy: LanePolicy) -> float:
    return max(load.rate or 0.0, policy.min_rate)


def _room(lane: str, ahead: int, load: LaneLoad, late: int, policy: LanePolicy) -> int:
    """How many runs fit in. ahead: all that waits in this lane and the lanes before it. late: how many lanes are
    aged."""
    bound = policy.bounds[lane]
    if load.oldest > bound:
        return 0
    fits = min(_rate(load, policy) * bound, policy.max_backlog) - ahead
    if load.waiting and load.oldest >= policy.ages_after(lane):
        share = _rate(load, policy) * AGED_SHARE / late
        fits = min(fits, share * (bound - policy.ages_after(lane)) - load.waiting)
    return max(0, math.floor(fits))


def _rest(lane: str, excess: int, load: LaneLoad, policy: LanePolicy) -> int:
    """Seconds: the time to serve the excess; at least 1, and at most the bound, because by then everything has
    changed."""
    bound = policy.bounds[lane]
    longest = max(1, math.ceil(bound))
    if load.oldest > bound:
        return min(longest, math.ceil(load.oldest - bound) + 1)
    seconds = excess / _rate(load, policy)
    if load.rate is None and load.served:
        seconds = min(seconds, RATE_KNOWN_AFTER)
    return min(longest, max(1, math.ceil(seconds)))
