"""Names of series, rates of counters, and what a query may cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram

from monitoring.core.frames import MOST_FRAMES, MOST_POINTS, MOST_VALUES, SLACK, TICK, TIERS, TooMuch, plan
from monitoring.core.rates import Counted, Rates
from monitoring.core.series import MOST_HISTOGRAMS, MOST_OF_ONE, MOST_SERIES, Series, bounded, parse, samples, series

names = st.from_regex(r"[a-z_][a-z0-9_]{0,20}", fullmatch=True)
made = st.builds(lambda metric, labels: series(metric, **labels), names, st.dictionaries(names, st.text(), max_size=4))


@given(made)
def test_a_series_is_read_back_as_it_was_written(one: Series) -> None:
    assert parse(str(one)) == one


@given(st.text(max_size=60))
def test_any_other_text_is_refused(text: str) -> None:
    try:
        found = parse(text)
    except ValueError:
        return
    assert parse(str(found)) == found


def test_counters_and_histograms_rise_and_gauges_do_not() -> None:
    registry = CollectorRegistry()
    Counter("erip_seen", "x", ["lane"], registry=registry).labels("high").inc(3)
    Histogram("erip_took_seconds", "x", buckets=(1.0,), registry=registry).observe(0.5)

    found = {str(one.series): (one.rises, one.value) for one in samples([registry])}

    assert found == {
        'erip_seen_total{lane="high"}': (True, 3.0),
        'erip_took_seconds_bucket{le="1.0"}': (True, 1.0),
        'erip_took_seconds_bucket{le="+Inf"}': (True, 1.0),
        "erip_took_seconds_count": (True, 1.0),
        "erip_took_seconds_sum": (True, 0.5),
    }


@given(st.integers(1, 400), st.integers(0, MOST_SERIES))
def test_what_is_beyond_the_limits_is_added_up_under_other(count: int, total: int) -> None:
    found = {series("erip_x", workflow=str(number)): 1.0 for number in range(count)}

    kept = bounded(found, [series(f"erip_{number}") for number in range(total)])

    assert sum(kept.values()) == count
    assert len(kept) <= min(MOST_OF_ONE, max(0, MOST_SERIES - total)) + 1


@given(st.integers(1, 90), st.integers(1, 12), st.integers(0, MOST_SERIES))
def test_the_buckets_of_a_histogram_are_kept_together_and_keep_their_bounds(
    histograms: int, buckets: int, total: int
) -> None:
    found = {
        series("erip_x_seconds_bucket", route=str(route), le=str(bound)): 1.0
        for route in range(histograms)
        for bound in range(buckets)
    }

    kept = bounded(found, [series(f"erip_{number}") for number in range(total)])

    assert sum(kept.values()) == len(found)
    bounds: dict[Series, set[str]] = {}
    for one in kept:
        bounds.setdefault(one.whole, set()).add(dict(one.labels)["le"])
    assert all(own == {str(bound) for bound in range(buckets)} for own in bounds.values())
    assert len(bounds) <= MOST_HISTOGRAMS + 1


COUNTER = Series("erip_seen_total")


def look(rates: Rates, now: float, *lives: tuple[str, float | None, float]) -> float | None:
    return rates.look([Counted(life, now, began, {COUNTER: value}) for life, began, value in lives], now).get(COUNTER)


def test_rates_of_lives_are_added_up_and_a_restart_is_no_peak_and_no_fall() -> None:
    rates = Rates()

    assert look(rates, 100.0, ("a", 0.0, 1_000.0), ("b", 0.0, 500.0)) is None, "nothing is known of the time before"
    assert look(rates, 110.0, ("a", 0.0, 1_010.0), ("b", 0.0, 520.0)) == 3.0
    # b was restarted: its next life counts from 0.
    assert look(rates, 120.0, ("a", 0.0, 1_020.0), ("c", 115.0, 5.0)) == 2.0
    # An old life that was never seen before says nothing.
    assert look(rates, 130.0, ("a", 0.0, 1_030.0), ("d", 50.0, 900_000.0)) == 1.0


@given(st.lists(st.tuples(st.floats(0.1, 100), st.floats(0, 1e6)), min_size=1, max_size=20))
def test_no_rate_is_negative_and_all_increases_are_counted(steps: list[tuple[float, float]]) -> None:
    rates, now, value, counted = Rates(), 0.0, 0.0, 0.0
    look(rates, now, ("a", None, value))
    for seconds, more in steps:
        now, value = now + seconds, value + more
        found = look(rates, now, ("a", None, value))
        assert found is not None
        assert found >= 0
        counted += found * seconds
    assert counted == pytest.approx(value, rel=1e-6, abs=1e-3)


def test_a_life_that_was_not_read_anew_adds_nothing() -> None:
    rates = Rates()
    rates.look([Counted("a", 100.0, None, {COUNTER: 1.0})], 100.0)

    assert rates.look([Counted("a", 100.0, None, {COUNTER: 1.0})], 110.0) == {}


@given(
    st.integers(60, TIERS[-1].kept),
    st.one_of(st.none(), st.integers(TICK, TIERS[-1].kept)),
    st.integers(1, 2_000),
    st.integers(0, 2 * TIERS[-1].kept),
)
def test_whatever_is_asked_the_cost_is_bounded(span: int, step: int | None, count: int, ago: int) -> None:
    try:
        reading = plan(span=span, step=step, series=count, ago=ago)
    except TooMuch:
        return
    frames = span // reading.tier.seconds + 1
    assert frames <= MOST_FRAMES
    assert frames * count <= MOST_VALUES
    assert span // reading.step <= MOST_POINTS
    assert reading.step % reading.tier.seconds == 0
    assert reading.tier.kept + SLACK >= span
    assert step is None or reading.step >= step

    # Of the finer frames nothing is left there.
    assert reading.tier is TIERS[-1] or reading.tier.kept + SLACK >= span + ago


@pytest.mark.parametrize(
    ("span", "ago", "tier"),
    [
        (3_600, 0, 10), (86_400, 0, 10), (86_461, 0, 60), (14 * 86_400, 0, 3_600),
        (3_600, 82_800, 10), (8_640, 77_790, 10), (3_600, 82_861, 60), (3_600, 3 * 86_400, 60),
        (3_600, 14 * 86_400, 3_600), (3_600, 800 * 86_400, 3_600),
    ],
)  # fmt: skip
def test_the_finest_tier_that_still_holds_the_range_is_read(span: int, ago: int, tier: int) -> None:
    assert plan(span=span, step=None, series=1, ago=ago).tier.seconds == tier
