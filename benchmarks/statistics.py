"""Percentiles of what was measured. Durations are in seconds on the way in and in milliseconds on the way out."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Summary:
    """Of some durations; all in milliseconds."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float

    def as_dict(self) -> dict[str, float]:
        return {name: round(value, 3) for name, value in asdict(self).items()}


def summarise(seconds: Sequence[float]) -> Summary:
    """Percentiles are values that were measured (nearest rank above), not interpolated. Raises ValueError for none."""
    if not seconds:
        raise ValueError("nothing was measured")
    values = np.asarray(seconds, dtype=float) * 1000.0
    p50, p95, p99 = np.percentile(values, [50, 95, 99], method="inverted_cdf")
    return Summary(len(values), float(values.mean()), float(p50), float(p95), float(p99), float(values.max()))


def cumulative(seconds: Sequence[float], points: int = 200) -> list[tuple[float, float]]:
    """The latency distribution as (percentile, milliseconds), for a chart; at most `points` of them."""
    if not seconds:
        return []
    values = np.sort(np.asarray(seconds, dtype=float)) * 1000.0
    places = np.unique(np.linspace(0, len(values) - 1, min(points, len(values))).round().astype(int))
    return [(round(100.0 * (place + 1) / len(values), 2), round(float(values[place]), 3)) for place in places]
