"""What is shown to Prometheus is read back, by prometheus_client's own parsers, as it was."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from monitoring.core.catalog import MEANINGS
from monitoring.core.exposition import OPENMETRICS, UNITS, described, families, prefers_openmetrics, render
from monitoring.core.series import Series, samples, series

#: what Prometheus 2.42 and a browser send
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

texts = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.floats(0, 1e15)


def registry(counts: dict[str, float], times: dict[str, list[float]]) -> CollectorRegistry:
    made = CollectorRegistry()
    counter = Counter("erip_seen", "What \\ was\nseen.", ["who"], registry=made)
    histogram = Histogram("erip_took_seconds", "x", ["who"], buckets=(0.01, 0.5, 10.0), registry=made)
    Gauge("erip_held_bytes", "y", registry=made).set(7)
    for who, count in counts.items():
        counter.labels(who).inc(count)
    for who, seconds in times.items():
        for one in seconds:
            histogram.labels(who).observe(one)
    return made


def read(body: bytes, media_type: str) -> dict[Series, float]:
    text = body.decode()
    found: dict[Series, float] = {}
    seen: set[str] = set()
    for family in (read_openmetrics if media_type == OPENMETRICS else read_text)(text):
        assert family.name not in seen, "a family stands in one place"
        seen.add(family.name)
        for one in family.samples:
            found[series(one.name, **one.labels)] = one.value
    return found


@given(st.dictionaries(texts, values, max_size=5), st.dictionaries(texts, st.lists(st.floats(0, 100)), max_size=4))
@pytest.mark.parametrize("accept", ["", PROMETHEUS])
def test_what_processes_count_is_read_back_in_both_formats(
    accept: str, counts: dict[str, float], times: dict[str, list[float]]
) -> None:
    made = registry(counts, times)
    shown = {one.series.labelled(component="web"): one.value for one in samples([made])}

    found = read(*render(families(shown, described([made], {})), accept))

    assert found.keys() == shown.keys()
    assert all(math.isclose(found[one], value, rel_tol=1e-12) for one, value in shown.items())


def test_types_meanings_and_units_are_said() -> None:
    made = registry({"a": 1}, {"a": [0.1]})
    shown = {one.series: one.value for one in samples([made])}
    shown[series("erip_component_up", component="web")] = 1.0
    shown[series("erip_of_another_release_total")] = 3.0
    lines = render(families(shown, described([made], MEANINGS)), PROMETHEUS)[0].decode().splitlines()

    assert "# HELP erip_seen What \\\\ was\\nseen." in lines
    assert "# TYPE erip_seen counter" in lines
    assert "# TYPE erip_took_seconds histogram" in lines
    assert "# UNIT erip_took_seconds seconds" in lines
    assert "# UNIT erip_held_bytes bytes" in lines
    assert "# TYPE erip_component_up gauge" in lines
    assert "# TYPE erip_of_another_release_total unknown" in lines
    assert lines[-1] == "# EOF"


def test_every_metric_of_the_collector_is_shown_with_its_meaning_and_fits_the_conventions() -> None:
    shown = {series(name): 1.0 for name in MEANINGS}
    found = {family.name: family for family in families(shown, described([], MEANINGS))}

    assert {name.removesuffix("_total") for name in MEANINGS} == found.keys()
    for name, family in found.items():
        assert family.documentation, name
        assert family.unit in ("", *UNITS)


def test_a_histogram_that_lacks_a_part_is_left_out() -> None:
    made = registry({}, {"a": [0.1], "b": [0.1]})
    shown = {one.series: one.value for one in samples([made]) if ("who", "b") not in one.series.labels}
    shown[series("erip_took_seconds_count", who="b")] = 1.0

    found = read(*render(families(shown, described([made], {})), PROMETHEUS))

    assert not any(("who", "b") in one.labels for one in found)
    assert found[series("erip_took_seconds_count", who="a")] == 1.0


@pytest.mark.parametrize(
    ("accept", "preferred"),
    [
        (PROMETHEUS, True),
        (BROWSER, False),
        ("", False),
        ("*/*", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;q=0", False),
        ("text/plain, application/openmetrics-text;q=0.5", False),
        ("Application/OpenMetrics-Text ; version=2.0.0 ; escaping=allow-utf-8", True),
        ("application/openmetrics-text; q=nan", False),
        ("application/openmetrics-text; q=1e9", False),
    ],
)
def test_openmetrics_is_for_those_who_prefer_it(accept: str, preferred: bool) -> None:
    assert prefers_openmetrics(accept) is preferred


@given(st.text(max_size=200))
def test_no_header_is_too_odd(accept: str) -> None:
    made: Any = families({series("erip_x"): 1.0}, {})
    assert read(*render(made, accept)) == {series("erip_x"): 1.0}
