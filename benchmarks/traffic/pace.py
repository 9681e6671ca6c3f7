"""When sessions begin: moments on an open-loop schedule whose rate changes from phase to phase.

At the random pace the gaps between them are exponential, as between users who know nothing of each other (a Poisson
process, whose rate follows the phases); at the even pace each has the same share of the load before it. A service
queues more at the random one. The moments follow from the seed alone.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Phase:
    """The rate changes evenly from the factor `begin` to the factor `end`."""

    name: str
    seconds: float
    begin: float
    end: float

    @property
    def load(self) -> float:
        """Seconds at factor 1 with as many requests."""
        return self.seconds * (self.begin + self.end) / 2

    def when(self, load: float) -> float:
        """Seconds after which the phase has had so much of its load."""
        slope = (self.end - self.begin) / self.seconds
        # The root of begin·t + slope·t²/2 = load, in the form that also holds for a slope of 0.
        root = math.sqrt(max(0.0, self.begin**2 + 2 * slope * load))
        below = self.begin + root
        return min(self.seconds, 2 * load / below) if below > 0 else self.seconds


def moments(phases: Sequence[Phase], rate: float, random: Random | None) -> Iterator[tuple[float, int]]:
    """(seconds after the begin, number of the phase) of each session, ascending. rate: a second at factor 1. random:
    None is the even pace."""
    gap = 1 / rate
    due = random.expovariate(rate) if random else gap / 2
    began = used = 0.0
    for number, phase in enumerate(phases):
        load = phase.load
        while due < used + load:
            yield began + phase.when(due - used), number
            due += random.expovariate(rate) if random else gap
        used += load
        began += phase.seconds
