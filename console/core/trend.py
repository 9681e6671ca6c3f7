"""When something is used up, by a straight line through what was seen, and how sure that is.

Note [Trend]
The line is the one of least squares. Values of one hour resemble those of the hour before, so the usual error of its
slope is far too small; it is widened by the correlation of neighbouring residuals, as if there were only
n (1 - r) / (1 + r) values (Bartlett's correction; Wilks, Statistical Methods in the Atmospheric Sciences, 5.2.4). The
range is the slope with twice that error, about 95 %. It rests on the past alone: nobody knows what tomorrow writes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

#: seconds that the values must cover, and how many there must be
LEAST_SPAN, LEAST_VALUES = 12 * 3_600.0, 12
#: seconds ahead beyond which nothing is said
HORIZON = 2 * 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Trend:
    """slope: per second. earliest, likely, latest: seconds from the last value until nothing is left; None: not within
    the HORIZON at that rate. span: seconds that the values cover."""

    slope: float
    low: float
    high: float
    earliest: float | None
    likely: float | None
    latest: float | None
    span: float


def trend(values: Sequence[tuple[float, float]], left: float) -> Trend | None:
    """The trend of (seconds, value), and when nothing is left of `left`. None: too little is known to say."""
    if len(values) < LEAST_VALUES:
        return None
    times = [at for at, _ in values]
    span = max(times) - min(times)
    if span < LEAST_SPAN:
        return None
    count = len(values)
    middle = sum(times) / count
    mean = sum(value for _, value in values) / count
    spread = sum((at - middle) ** 2 for at in times)
    slope = sum((at - middle) * (value - mean) for at, value in values) / spread
    rest = [value - mean - slope * (at - middle) for at, value in sorted(values)]
    error = math.sqrt(sum(one * one for one in rest) / (count - 2) / spread) * math.sqrt(_widened(rest))
    low, high = slope - 2 * error, slope + 2 * error
    return Trend(slope, low, high, _until(left, low), _until(left, slope), _until(left, high), span)


def _widened(rest: Sequence[float]) -> float:
    """How many times more values there seem to be than there are."""
    whole = sum(one * one for one in rest)
    if whole <= 0:
        return 1.0
    r = sum(one * other for one, other in pairwise(rest)) / whole
    r = min(0.99, max(0.0, r))
    return (1 + r) / (1 - r)


def _until(left: float, slope: float) -> float | None:
    if slope >= 0:
        return None
    seconds = left / -slope
    return seconds if seconds <= HORIZON else None
