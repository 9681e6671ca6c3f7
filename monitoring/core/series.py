"""Names of series, and what is done with the numbers of one process before they are added up.

A series is a metric with its labels, written as Prometheus writes it: `erip_db_waits_total{database="default"}`.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

#: series in all, and of one metric; what is beyond that is counted under the label value OTHER
MOST_SERIES, MOST_OF_ONE = 2_000, 100
#: histograms of one metric: each has a series for every bucket, which do not count one by one
MOST_HISTOGRAMS = 60
OTHER = "other"
#: labels whose values are few by themselves, and keep their meaning when the others become OTHER
_FEW = ("component", LE := "le")
#: what Prometheus adds to a counter or histogram about its creation: it would double every series
_CREATED = "_created"
#: how the names of a histogram's series end
_PARTS = ("_bucket", "_sum", "_count")


class Series(NamedTuple):
    """A metric and its labels, sorted by name. No label holds an id, a key or a source: their number is bounded."""

    metric: str
    labels: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        if not self.labels:
            return self.metric
        inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in self.labels)
        return f"{self.metric}{{{inner}}}"

    def beyond(self) -> "Series":
        """The series that counts what is beyond the limit of label values."""
        return Series(self.metric, tuple((name, value if name in _FEW else OTHER) for name, value in self.labels))

    @property
    def whole(self) -> "Series":
        """Of a bucket: what all buckets of its histogram have in common."""
        return Series(self.metric, tuple(pair for pair in self.labels if pair[0] != LE))

    def labelled(self, **labels: str) -> "Series":
        """The same with further labels."""
        return Series(self.metric, tuple(sorted({**dict(self.labels), **labels}.items())))


def series(metric: str, **labels: str) -> Series:
    return Series(metric, tuple(sorted(labels.items())))


_WHOLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})?')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')


@lru_cache(maxsize=4 * MOST_SERIES)
def parse(text: str) -> Series:
    """The series of this name, as `str` writes it. Raises ValueError."""
    found = _WHOLE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:100]!r} is not the name of a series")
    labels = ((name, _plain(value)) for name, value in _LABEL.findall(found[2] or ""))
    return Series(found[1], tuple(sorted(labels)))


class Sample(NamedTuple):
    """What a process says of one series. rises: it is a counter, cumulative since the process began."""

    series: Series
    rises: bool
    value: float


def samples(registries: Iterable[Any]) -> Iterator[Sample]:
    """The samples of prometheus_client registries. The parts of a histogram are counters, too."""
    for registry in registries:
        for family in registry.collect():
            rises = family.type in ("counter", "histogram", "summary")
            for one in family.samples:
                if not one.name.endswith(_CREATED) and math.isfinite(one.value):
                    yield Sample(Series(one.name, tuple(sorted(one.labels.items()))), rises, float(one.value))


def bounded(found: Mapping[Series, float], known: Iterable[Series]) -> dict[Series, float]:
    """The same values with series beyond the limits added up under OTHER.

    known: the series that are kept already. The buckets of a histogram are kept together.
    """
    kept: dict[Series, float] = {}
    here = set(known)
    total = len(here)
    #: metric → its series, histograms once each
    counted: dict[str, set[Series]] = {}
    for name in here:
        counted.setdefault(name.metric, set()).add(name.whole)
    for name, value in found.items():
        own = counted.setdefault(name.metric, set())
        parts = name.metric.endswith(_PARTS)
        if name not in here:
            room = len(own) < (MOST_HISTOGRAMS if parts else MOST_OF_ONE) and total < MOST_SERIES
            if not room and name.whole not in own:
                beyond = name.beyond()
                kept[beyond] = kept.get(beyond, 0.0) + value
                continue
            own.add(name.whole)
            total += 1
        kept[name] = kept.get(name, 0.0) + value
    return kept


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value)


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
