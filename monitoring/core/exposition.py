"""From series and their values to what Prometheus scrapes: families with a type, a meaning and a unit.

Source: the text formats of Prometheus (0.0.4) and OpenMetrics (1.0.0), which prometheus_client writes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from monitoring.core.series import LE, Series

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

#: units that a name may end in
UNITS = ("seconds", "bytes")
_COUNTER = "_total"
_WEIGHT = re.compile(r"[01](\.[0-9]{0,3})?", re.ASCII)
_PARTS = ("_bucket", "_count", "_sum")


@dataclass(frozen=True, slots=True)
class About:
    """type: as Prometheus names it. meaning: one sentence."""

    type: str
    meaning: str


def described(registries: Iterable[Any], meanings: Mapping[str, str]) -> dict[str, About]:
    """What is known of each family: of prometheus_client registries, and of the collector's own metrics.

    meanings: by the name of the series; one that ends in `_total` is a counter.
    """
    known = {
        name.removesuffix(_COUNTER): About("counter" if name.endswith(_COUNTER) else "gauge", meaning)
        for name, meaning in meanings.items()
    }
    for registry in registries:
        for family in registry.collect():
            known[family.name] = About(family.type, family.documentation)
    return known


def families(values: Mapping[Series, float], known: Mapping[str, About]) -> Iterator[Metric]:
    """The families of these series, each once, in the order of their names.

    A series of which nothing is known, as of another release, has the type `unknown`. A histogram that lacks one of its
    parts is left out: nothing can be worked out from it.
    """
    plain: dict[str, list[tuple[Series, float]]] = {}
    histograms: dict[str, dict[Series, dict[str, float]]] = {}
    for one, value in values.items():
        base, part = _histogram(one.metric, known)
        if part:
            # All parts of a histogram have its labels in common; a bucket has its bound besides.
            key = Series(base, one.whole.labels)
            bound = dict(one.labels).get(LE, "") if part == "_bucket" else ""
            histograms.setdefault(base, {}).setdefault(key, {})[part + bound] = value
        else:
            plain.setdefault(_family(one.metric, known), []).append((one, value))
    for name in sorted({*plain, *histograms}):
        about = known.get(name, About("unknown", ""))
        family = Metric(name, about.meaning, about.type, _unit(name))
        for one, value in sorted(plain.get(name, ())):
            family.add_sample(one.metric, dict(one.labels), value)
        for one, parts in sorted(histograms.get(name, {}).items()):
            _add_histogram(family, dict(one.labels), parts)
        if family.samples:
            yield family


def render(found: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    """The text, and its media type: OpenMetrics if the Accept header prefers it, else Prometheus' own format."""
    registry = _Found(list(found))
    if prefers_openmetrics(accept):
        return openmetrics.generate_latest(registry), OPENMETRICS  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


def prefers_openmetrics(accept: str) -> bool:
    """Whether an Accept header (RFC 9110, 12.5.1) names OpenMetrics, and no plain text that it likes better."""
    liked = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for part in accept.lower().split(","):
        name, *parameters = (each.strip() for each in part.split(";"))
        if name not in liked:
            continue
        weight = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        # What is no weight says nothing.
        liked[name] = max(liked[name], float(weight) if _WEIGHT.fullmatch(weight) else 0.0)
    return 0.0 < liked["application/openmetrics-text"] >= liked["text/plain"]


class _Found:
    """What the encoders read in place of a registry."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        return self._found


def _histogram(metric: str, known: Mapping[str, About]) -> tuple[str, str]:
    """The family and the part of a histogram's series; no part for any other."""
    for part in _PARTS:
        base = metric.removesuffix(part)
        if base != metric and (about := known.get(base)) is not None and about.type == "histogram":
            return base, part
    return metric, ""


def _family(metric: str, known: Mapping[str, About]) -> str:
    base = metric.removesuffix(_COUNTER)
    about = known.get(base)
    return base if base != metric and about is not None and about.type == "counter" else metric


def _unit(name: str) -> str:
    return next((unit for unit in UNITS if name.endswith(f"_{unit}")), "")


def _add_histogram(family: Metric, labels: dict[str, str], parts: dict[str, float]) -> None:
    buckets = {key.removeprefix("_bucket"): value for key, value in parts.items() if key.startswith("_bucket")}
    if "+Inf" not in buckets or "_sum" not in parts:
        return
    for bound in sorted(buckets, key=float):
        family.add_sample(f"{family.name}_bucket", {**labels, LE: bound}, buckets[bound])
    # Not what was counted beside the buckets: the formats want the two to be equal.
    family.add_sample(f"{family.name}_count", labels, buckets["+Inf"])
    family.add_sample(f"{family.name}_sum", labels, parts["_sum"])
