"""The metrics as OTLP takes them."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from erip.foundation.http import timing
from monitoring.core.exposition import described, families
from monitoring.core.otlp import document
from monitoring.core.series import samples


def metrics_of(registry: CollectorRegistry) -> dict[str, dict]:
    shown = {one.series.labelled(component="web"): one.value for one in samples([registry])}
    made = document(families(shown, described([registry], {})), at=1_700_000_000.25, version="1.2")
    [resource] = json.loads(json.dumps(made))["resourceMetrics"]
    assert {"key": "service.name", "value": {"stringValue": "erip"}} in resource["resource"]["attributes"]
    return {one["name"]: one for one in resource["scopeMetrics"][0]["metrics"]}


def labels(point: dict) -> dict[str, str]:
    return {one["key"]: one["value"]["stringValue"] for one in point["attributes"]}


def test_counters_rise_gauges_do_not_and_units_are_those_of_ucum() -> None:
    registry = CollectorRegistry()
    Counter("erip_seen", "Seen.", ["lane"], registry=registry).labels("high").inc(3)
    Gauge("erip_held_bytes", "Held.", registry=registry).set(7)

    found = metrics_of(registry)

    seen = found["erip_seen"]
    assert (seen["sum"]["isMonotonic"], seen["sum"]["aggregationTemporality"], seen["description"]) == (
        True,
        2,
        "Seen.",
    )
    [point] = seen["sum"]["dataPoints"]
    assert (point["asDouble"], point["timeUnixNano"]) == (3.0, "1700000000250000000")
    assert labels(point) == {"lane": "high", "component": "web"}
    assert (found["erip_held_bytes"]["unit"], found["erip_held_bytes"]["gauge"]["dataPoints"][0]["asDouble"]) == (
        "By",
        7,
    )


@given(st.dictionaries(st.sampled_from("abc"), st.lists(st.floats(0, 100), min_size=1), min_size=1))
def test_a_histogram_has_each_bucket_alone(observed: dict[str, list[float]]) -> None:
    registry = CollectorRegistry()
    bounds = (0.01, 0.5, 10.0)
    histogram = Histogram("erip_took_seconds", "x", ["who"], buckets=bounds, registry=registry)
    for who, times in observed.items():
        for seconds in times:
            histogram.labels(who).observe(seconds)

    found = metrics_of(registry)["erip_took_seconds"]

    assert found["unit"] == "s"
    points = {labels(point)["who"]: point for point in found["histogram"]["dataPoints"]}
    assert points.keys() == observed.keys()
    for who, times in observed.items():
        point = points[who]
        edges = [-1.0, *bounds, float("inf")]
        counts = [sum(low < one <= high for one in times) for low, high in pairwise(edges)]
        assert list(map(int, point["bucketCounts"])) == counts
        assert int(point["count"]) == len(times)
        assert point["explicitBounds"] == list(bounds)


def test_requests_are_named_as_the_conventions_want_it() -> None:
    requests = timing.Requests()
    registry = CollectorRegistry()
    registry.register(requests)
    for method, address in (("GET", "api/v1/runs/<uuid:id>"), ("", "")):
        scope: dict = {"type": "http", "path": "/x", "method": "GET"}
        timing.begin(scope)
        timing.found_route(scope, method, address)
        requests.note(scope["erip.request"], scope, 200)

    points = metrics_of(registry)["http.server.request.duration"]["histogram"]["dataPoints"]

    assert sorted(map(labels, points), key=len) == [
        {"component": "web", "http.route": "unmatched"},
        {"component": "web", "http.request.method": "GET", "http.route": "/api/v1/runs/{id}"},
    ]
