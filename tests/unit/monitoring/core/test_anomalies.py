"""What is unusual for an hour of the week."""

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from monitoring.core.anomalies import (
    HOUR,
    LEAST,
    NAMED,
    UNUSUAL,
    WEEKS,
    Finding,
    hours,
    judge,
    weeks_before,
)

values = st.floats(0, 1e6)
pasts = st.lists(values, min_size=LEAST, max_size=WEEKS)


@given(st.none() | values, st.lists(values, max_size=LEAST - 1))
def test_with_too_few_weeks_nobody_can_say_what_is_usual(value: float | None, past: list[float]) -> None:
    assert judge(value, past, least=1.0).finding is Finding.TOO_LITTLE


@given(pasts)
def test_what_is_not_known_is_not_usual(past: list[float]) -> None:
    assert judge(None, past, least=1.0).finding is Finding.UNKNOWN


@given(values, pasts, st.randoms())
def test_the_order_of_the_weeks_does_not_matter(value: float, past: list[float], random) -> None:  # type: ignore[no-untyped-def]
    mixed = list(past)
    random.shuffle(mixed)

    assert judge(value, mixed, least=1.0) == judge(value, past, least=1.0)


@given(pasts, st.floats(0.1, 100), st.floats(0.1, 100))
def test_what_is_farther_away_is_not_less_unusual(past: list[float], near: float, more: float) -> None:
    median = judge(0.0, past, least=1.0).median
    assert median is not None
    one, two = (judge(median + away, past, least=1.0) for away in (near, near + more))

    assert one.deviations is not None
    assert two.deviations is not None
    assert 0 < one.deviations <= two.deviations
    assert judge(median, past, least=1.0).finding is Finding.USUAL


@given(st.lists(st.floats(90, 110), min_size=7, max_size=WEEKS), st.floats(0, 1e9))
def test_one_odd_week_hides_nothing_and_alarms_nobody(past: list[float], odd: float) -> None:
    """A holiday among the weeks: half of what is known would have to be odd."""
    found = [*past, odd]

    assert judge(100.0, found, least=1.0).finding is Finding.USUAL
    assert judge(100.0 + 40 * UNUSUAL, found, least=1.0).finding is Finding.UNUSUAL


@given(st.floats(0, 1e6), st.floats(-1, 1))
def test_what_is_constant_is_not_unusual_for_a_trifle(value: float, change: float) -> None:
    assert judge(value + 2 * change, [value] * WEEKS, least=1.0).finding is Finding.USUAL


def test_an_hour_is_compared_with_the_same_hour_of_other_weeks() -> None:
    monday_nine = int(datetime(2026, 11, 23, 9, tzinfo=UTC).timestamp())

    before = [datetime.fromtimestamp(one, UTC) for one in weeks_before(monday_nine)]

    assert len(before) == WEEKS
    assert {(one.weekday(), one.hour) for one in before} == {(0, 9)}


@given(st.floats(1e9, 2e9), st.integers(1, 400))
def test_the_hours_that_are_marked_have_ended(until: float, count: int) -> None:
    found = hours(until, count)

    assume(count > 0)
    assert len(found) == count
    assert found[-1] <= until < found[-1] + HOUR
    assert {after - before for before, after in pairwise(found)} <= {HOUR}


def test_thirty_series_at_most_are_looked_at_and_each_is_named_once() -> None:
    assert len(NAMED) <= 30
    assert len({one.name for one in NAMED}) == len(NAMED)
    assert all(one.least > 0 for one in NAMED)


def test_an_unusual_hour_is_marked_on_charts_of_its_metric_alone() -> None:
    from console.charts.line import window_of
    from console.views.metrics import unusual_of
    from monitoring.anomalies import Mark

    until = 1_800_000_000 // HOUR * HOUR
    window = window_of(datetime.fromtimestamp(until - 6 * HOUR, UTC), datetime.fromtimestamp(until, UTC), 60)
    named = next(one for one in NAMED if one.metric == "erip_redis_memory_bytes")
    past = [100.0] * WEEKS
    known = [Mark(named, until - hours_ago * HOUR, judge(9e9, past, least=1.0)) for hours_ago in (20, 2)]

    (found,) = unusual_of(known, {named.metric}, window)
    assert (found.kind, found.until - found.since, found.until) == ("unusual", HOUR, until - 2 * HOUR)
    assert "memory of Redis: 9e+09, more than the 100 that are usual" in found.text
    assert unusual_of(known, {"erip_redis_clients"}, window) == []
