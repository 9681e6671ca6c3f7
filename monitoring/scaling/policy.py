"""How many workers there should be. Pure; `monitoring.scaling` measures, asks, and carries out.

Note [Scaling]
Each measure says by itself how many replicas it wants, and the largest wins:
- backlog: what waits in a lane and in those before it, times the service time of a step (one over a replica's measured
  rate), over the seconds in which it has to be gone so that nothing ages (Note [Ageing] in `lanes`);
- response: the replicas that there are, times the wait of the oldest work over the time when it ages, twice at most;
- cpu and memory: the replicas that there are, times the share in use over the share aimed at.

Fewer replicas must be able to take SPARE more, so that a load that wavers by less never moves them to and fro.
A change also needs a rest since the last one, whichever way that went: `up_cooldown` before more, `down_cooldown`
before fewer. Critical work that ages is an emergency: it gets another replica in spite of the rest, every
EMERGENCY_PAUSE seconds, but never more than `most`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from workflows.core.lanes import LaneLoad, LanePolicy
from workflows.core.states import Lane

#: the extra load that fewer replicas must be able to take
SPARE = 0.15
#: seconds between two replicas that an emergency adds: about what one needs to start
EMERGENCY_PAUSE = 5.0
#: one change at most doubles the replicas, but may always add this many: one wrong measure must not bring 50
ALWAYS_ADDED = 4
#: the response asks for at most this many times the replicas
LONGEST_RESPONSE = 2.0
#: the lowest rate, in ready steps per second of a replica: it is a divisor
SLOWEST = 0.01


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """Raises ValueError for limits that exclude each other."""

    lanes: LanePolicy
    #: the least and the most replicas
    fewest: int = 2
    most: int = 50
    #: seconds
    up_cooldown: float = 30.0
    down_cooldown: float = 60.0
    #: shares of what a replica may use
    cpu_target: float = 0.70
    memory_target: float = 0.80

    def __post_init__(self) -> None:
        if not 1 <= self.fewest <= self.most:
            raise ValueError(f"of at least {self.fewest} and at most {self.most} replicas there can be none")
        if not (0 < self.cpu_target <= 1 and 0 < self.memory_target <= 1):
            raise ValueError("the targets of CPU and memory are shares: above 0, and 1 at the most")
        if self.up_cooldown < 0 or self.down_cooldown < 0:
            raise ValueError("a cooldown cannot be negative")


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured. None: unknown, and ignored."""

    lanes: Mapping[str, LaneLoad] = field(default_factory=dict)
    #: ready steps that one replica takes in a second
    rate: float | None = None
    #: share of its CPU that a replica uses, on average
    cpu: float | None = None
    #: share of its memory that a replica uses, on average
    memory: float | None = None
    #: whether the machine has no memory for another replica
    full: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """When replicas were last changed, on the clock of `now`. None: never."""

    up: float | None = None
    down: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    replicas: int
    reason: str
    emergency: bool = False


def decide(current: int, load: Load, changes: Changes, policy: ScalingPolicy, *, now: float) -> Decision:
    """How many replicas there should be from now on, and why. See Note [Scaling].

    current: replicas that there should be so far. now: seconds, on the clock of `changes`.
    """
    # Limits first: a user may have changed them, or the replicas by hand.
    if current < policy.fewest:
        return Decision(policy.fewest, f"there must be {policy.fewest} at the least")
    if current > policy.most:
        return Decision(policy.most, f"there may be {policy.most} at the most")

    wants = _wants(current, load, policy)
    want, reason = max(wants, key=lambda one: one[0])
    most = min(policy.most, max(2 * current, current + ALWAYS_ADDED))
    up = min(_whole(want), most)
    critical = load.lanes.get(Lane.CRITICAL, LaneLoad())
    if critical.waiting and critical.oldest >= policy.lanes.ages_after(Lane.CRITICAL) and current < policy.most:
        urgent = f"critical work waits for {critical.oldest:.1f} s"
        if load.full:
            return Decision(current, f"{urgent}, and there is no memory for another replica")
        if _rested(now, changes, up=EMERGENCY_PAUSE, down=0.0):
            return Decision(max(up, current + 1), urgent, emergency=True)
    if up > current:
        if load.full:
            return Decision(current, f"{reason}, and there is no memory for another replica")
        if not _rested(now, changes, up=policy.up_cooldown, down=policy.up_cooldown):
            return Decision(current, f"{reason}, and the last change is too fresh")
        return Decision(up, reason)
    down = max(policy.fewest, _whole(want * (1 + SPARE)))
    if down < current:
        if not _rested(now, changes, up=policy.down_cooldown, down=policy.down_cooldown):
            return Decision(current, "fewer would do, and the last change is too fresh")
        return Decision(down, f"{down} would do: {reason}")
    return Decision(current, f"as many as needed: {reason}")


def _wants(current: int, load: Load, policy: ScalingPolicy) -> list[tuple[float, str]]:
    """(replicas wanted, why) of each measure."""
    wants = [(0.0, "nothing waits")]
    rate = max(SLOWEST, policy.lanes.min_rate if load.rate is None else load.rate)
    ahead = 0
    for lane in Lane:
        here = load.lanes.get(lane, LaneLoad())
        if not here.waiting:
            continue
        ahead += here.waiting
        ages = policy.lanes.ages_after(lane)
        wants.append(
            (ahead / rate / ages, f"backlog: {ahead} steps wait down to {lane}, a replica takes {rate:.3g} a second")
        )
        response = min(LONGEST_RESPONSE, here.oldest / ages)
        if response >= 1:
            wants.append((current * response, f"response: {lane} work waits for {here.oldest:.1f} s"))
    if load.cpu is not None:
        wants.append((current * load.cpu / policy.cpu_target, f"cpu: {load.cpu:.0%} in use"))
    if load.memory is not None:
        wants.append((current * load.memory / policy.memory_target, f"memory: {load.memory:.0%} in use"))
    return wants


def _whole(replicas: float) -> int:
    """Rounds up to a whole number, but ignores a rounding error."""
    return math.ceil(replicas - 1e-6)


def _rested(now: float, changes: Changes, *, up: float, down: float) -> bool:
    """Whether the last change upwards is `up` seconds ago and the last one downwards `down`."""
    return (changes.up is None or now - changes.up >= up) and (changes.down is None or now - changes.down >= down)
