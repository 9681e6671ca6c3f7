"""Histograms for hot paths: a few hundred nanoseconds for an observation, and a bounded number of series.

prometheus_client's own take some microseconds with labels, and have no bound: whatever a label is given becomes a
series for ever.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.utils import floatToGoString

#: sets of label values that are kept apart; what is beyond that is counted under OTHER
MOST = 60
OTHER = "other"


class Timings:
    """How long something took, by some labels: a collector for a prometheus_client registry. For any thread."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        """bounds: of the buckets in seconds, rising, without the last one, which is infinite."""
        self.name = name
        self.meaning = meaning
        self.labels = list(labels)
        self._bounds = list(bounds)
        #: label values → how many fell into each bucket, and the sum of all
        self._rows: dict[tuple[str, ...], list[float]] = {}
        self._lock = threading.Lock()

    def observe(self, labels: tuple[str, ...], seconds: float) -> None:
        """labels: their values, in the order of `labels`. A negative time, as of two clocks, counts as none."""
        row = self._rows.get(labels) or self._row(labels)
        if seconds < 0.0:
            seconds = 0.0
        place = bisect_left(self._bounds, seconds)
        with self._lock:
            row[place] += 1.0
            row[-1] += seconds

    def collect(self) -> Iterator[Any]:
        with self._lock:
            rows = {labels: list(row) for labels, row in self._rows.items()}
        yield histogram(self.name, self.meaning, self.labels, self._bounds, rows)

    def _row(self, labels: tuple[str, ...]) -> list[float]:
        with self._lock:
            if labels not in self._rows and len(self._rows) >= MOST:
                labels = (OTHER,) * len(labels)
            return self._rows.setdefault(labels, [0.0] * (len(self._bounds) + 2))


def histogram(
    name: str, meaning: str, labels: Sequence[str], bounds: Sequence[float], rows: Mapping[tuple[str, ...], list[float]]
) -> HistogramMetricFamily:
    """The family of these rows: how many fell into each bucket, and last the sum of all."""
    family = HistogramMetricFamily(name, meaning, labels=labels)
    names = [*map(floatToGoString, bounds), "+Inf"]
    for values, row in rows.items():
        family.add_metric(values, list(zip(names, accumulate(row[:-1]), strict=True)), row[-1])
    return family
