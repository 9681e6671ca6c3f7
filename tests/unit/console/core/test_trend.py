import random

import pytest

from console.core.trend import HORIZON, LEAST_SPAN, LEAST_VALUES, trend

HOUR = 3_600.0


def falling(hours: int, slope: float, *, start: float = 1e12, noise: float = 0.0, seed: int = 1) -> list:
    rest = random.Random(seed)
    return [(hour * HOUR, start + slope * hour * HOUR + rest.gauss(0, noise)) for hour in range(hours)]


def test_a_straight_fall_says_when_nothing_is_left() -> None:
    found = trend(falling(48, -1_000.0), left=1e9)
    assert found is not None
    assert found.likely == pytest.approx(1e6)
    assert found.earliest == pytest.approx(found.latest)
    assert found.span == 47 * HOUR


def test_of_too_little_nothing_is_said() -> None:
    assert trend([], 1.0) is None
    assert trend(falling(LEAST_VALUES - 1, -1.0), 1.0) is None
    close = [(number * 60.0, 1.0) for number in range(LEAST_VALUES * 3)]
    assert close[-1][0] < LEAST_SPAN
    assert trend(close, 1.0) is None


def test_what_does_not_fall_is_never_full() -> None:
    for slope in (0.0, 5.0):
        found = trend(falling(48, slope), left=1e9)
        assert found is not None
        assert (found.earliest, found.likely, found.latest) == (None, None, None)


def test_beyond_the_horizon_nothing_is_said() -> None:
    found = trend(falling(48, -1.0), left=HORIZON + 10)
    assert found is not None
    assert found.likely is None


@pytest.mark.parametrize("seed", range(5))
def test_noise_makes_it_less_sure_and_the_range_holds_the_truth(seed: int) -> None:
    slope, left = -1_000.0, 1e10
    found = trend(falling(200, slope, noise=2e7, seed=seed), left)
    assert found is not None
    assert found.low < found.slope < found.high
    # About 95 %: five seeds, all of which were seen to hold it.
    assert found.low <= slope <= found.high
    calm = trend(falling(200, slope), left)
    assert calm is not None
    assert calm.high - calm.low < found.high - found.low


def test_a_walk_is_less_sure_than_noise_of_the_same_size() -> None:
    rest, here, walk = random.Random(3), 0.0, []
    for hour in range(200):
        here += rest.gauss(0, 1.0)
        walk.append((hour * HOUR, here))
    size = max(value for _, value in walk) - min(value for _, value in walk)
    noise = [(at, rest.uniform(0, size)) for at, _ in walk]
    of_walk, of_noise = trend(walk, 1.0), trend(noise, 1.0)
    assert of_walk is not None
    assert of_noise is not None
    assert of_walk.high - of_walk.low > of_noise.high - of_noise.low
