"""Which fault comes when: decided by a seed alone, so that a run can be repeated."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

#: seconds without a fault at the beginning, to know what is normal
CALM = 8.0
#: seconds after the last fault, to see the recovery
TAIL = 20.0
#: seconds between two faults, at least; less would be two faults at once, which three nodes do not promise to survive
SPACING = 12.0
#: the share of the space between two faults by which a fault may be moved
JITTER = 0.4


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault to come."""

    #: seconds after the load began
    at: float
    #: the name of its kind
    kind: str


def plan(seed: int, kinds: Sequence[str], duration: float) -> list[Planned]:
    """Faults over `duration` seconds: each kind once in random order, then again, as many as fit.

    Where there is room, rounds are added; where there is too little, the last of the order are left out.
    """
    if not kinds:
        return []
    random = Random(seed)  # noqa: S311 (a schedule, not a secret)
    tail = min(TAIL, duration / 4)
    calm = min(CALM, duration / 4)
    room = max(0.0, duration - calm - tail)
    most = 1 + int(room / SPACING)
    rounds = max(1, round(room / (2 * SPACING * len(kinds))))
    count = min(most, rounds * len(kinds))
    order: list[str] = []
    while len(order) < count:
        order += random.sample(list(kinds), len(kinds))
    slack = min(JITTER * room / count, (room - SPACING * (count - 1)) / count)
    step = (room - slack) / max(1, count - 1)
    return [Planned(calm + place * step + random.uniform(0, slack), kind) for place, kind in enumerate(order[:count])]
