"""What one unit of each load uses, by least squares through what was seen, and how sure that is.

Note [Fit]
What is used is taken for a sum: a part for each process (or one part in all), and a part for each run and each event.
The coefficients are those of least squares; one that would be negative is left out, since no load gives back what it
uses. Neighbouring points resemble one another, so the usual error is widened by the correlation of neighbouring
residuals, as for the trend of the disk (Bartlett's correction; Wilks, Statistical Methods in the Atmospheric Sciences,
5.2.4). The interval is twice that error, about 95 %: of the line, at the load that is asked about.

Nothing is said where the past says nothing: of a load that was never there or never changed, and of loads that always
rose and fell together, whose parts cannot be told apart. How many times the load is beyond what was seen is said: the
line may bend there, and no interval knows that.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

#: points that a fit needs at the least, and for each coefficient
LEAST, LEAST_EACH = 12, 4
#: the largest condition number of the scaled columns: beyond it their parts cannot be told apart
_CONDITION = 30.0
#: a load that varies by less, as a share of its mean, has a part that cannot be told from what is always used
_VARIES = 0.02


@dataclass(frozen=True, slots=True)
class Estimate:
    """low, high: about 95 %. beyond: how many times the loads are beyond the largest that was seen."""

    value: float
    low: float
    high: float
    beyond: float = 1.0

    def __add__(self, other: "Estimate") -> "Estimate":
        """The intervals are added, which is wider than right where their errors do not belong together."""
        return Estimate(
            self.value + other.value, self.low + other.low, self.high + other.high, max(self.beyond, other.beyond)
        )


@dataclass(frozen=True, slots=True)
class Fit:
    """coefficients: by load. covariance: of them, in that order. seen: the largest of each load."""

    names: tuple[str, ...]
    coefficients: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    seen: Mapping[str, float]
    points: int

    def at(self, loads: Mapping[str, float]) -> Estimate | str:
        """What these loads use; or why that is not known. Loads that are not named are 0."""
        for name, load in loads.items():
            if load > 0 and name not in self.seen:
                return f"no {name} were seen"
        x = np.array([loads.get(name, 0.0) for name in self.names])
        value = float(x @ np.array(self.coefficients))
        error = math.sqrt(max(0.0, float(x @ np.array(self.covariance) @ x)))
        # The first is what is always there.
        beyond = max((loads[name] / self.seen[name] for name in self.names[1:] if name in loads), default=1.0)
        return Estimate(value, max(0.0, value - 2 * error), value + 2 * error, max(1.0, beyond))


def fit(loads: Sequence[Mapping[str, float]], used: Sequence[float], names: Sequence[str]) -> Fit | str:
    """The line through what was used at these points; or why there is none. names: of the loads, those that are always
    there (processes, or a constant 1) first."""
    seen = {name: max((one[name] for one in loads), default=0.0) for name in names}
    there = [name for name in names if seen[name] > 0]
    if len(loads) < max(LEAST, LEAST_EACH * len(there)):
        return f"{len(loads)} points are known, and {max(LEAST, LEAST_EACH * len(there))} at the least are needed"
    if not there:
        return "nothing was seen"
    whole = np.array([[one[name] for name in there] for one in loads])
    y = np.array(used, dtype=float)
    for name, column in zip(there[1:], whole.T[1:], strict=True):
        if float(column.std()) < _VARIES * float(column.mean()):
            return f"{name} never changed"
    if len(there) > 1 and float(np.linalg.cond(whole / np.linalg.norm(whole, axis=0))) > _CONDITION:
        return f"{', '.join(there)} always changed together"
    kept = list(range(len(there)))
    while True:
        part = whole[:, kept]
        solved = np.linalg.lstsq(part, y, rcond=None)[0]
        worst = int(np.argmin(solved))
        if solved[worst] >= 0 or len(kept) == 1:
            break
        kept.pop(worst)
    solved = np.maximum(solved, 0.0)
    rest = y - part @ solved
    freedom = max(1, len(y) - len(kept))
    variance = float(rest @ rest) / freedom * _widened(rest)
    own = np.linalg.inv(part.T @ part) * variance
    coefficients, covariance = np.zeros(len(there)), np.zeros((len(there), len(there)))
    coefficients[kept] = solved
    covariance[np.ix_(kept, kept)] = own
    return Fit(
        tuple(there),
        tuple(float(one) for one in coefficients),
        tuple(tuple(float(one) for one in row) for row in covariance),
        {name: seen[name] for name in there},
        len(y),
    )


def _widened(rest: NDArray[np.float64]) -> float:
    """How many times more points there seem to be than there are."""
    whole = float(rest @ rest)
    if whole <= 0:
        return 1.0
    r = sum(float(one) * float(other) for one, other in pairwise(rest)) / whole
    r = min(0.95, max(0.0, r))
    return (1 + r) / (1 - r)
