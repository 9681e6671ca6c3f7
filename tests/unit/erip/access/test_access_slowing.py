"""How failures slow the next attempt down: laws of the plain functions."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erip.access import slowing
from erip.access.slowing import Counter, Limit, counted, lasting, wait

NOW = datetime(2026, 12, 1, tzinfo=UTC)
ALL = [slowing.PAIR, slowing.PAIR_UNDER_ATTACK, slowing.RECOGNISED, slowing.ADDRESS, slowing.NETWORK, slowing.ACCOUNT]
LIMITS = st.sampled_from(ALL)


@given(LIMITS, st.integers(0, 10**9))
def test_pauses_grow_and_never_pass_the_bound(limit: Limit, failures: int):
    assert 0 <= limit.pause(failures) <= limit.pause(failures + 1) <= limit.most


@pytest.mark.parametrize("limit", ALL[:5])
def test_the_free_failures_cost_nothing_and_the_next_one_does(limit: Limit):
    assert limit.pause(limit.free - 1) == 0
    assert limit.pause(limit.free) == limit.first > 0


def test_the_account_by_itself_slows_nobody_down():
    assert slowing.ACCOUNT.pause(10**6) == 0


def test_an_address_that_is_new_to_an_account_under_attack_keeps_an_attempt():
    fresh = Counter(0, NOW, NOW)

    assert wait({"pair": fresh}, NOW) == 0
    assert wait({"pair": counted(fresh, slowing.PAIR_UNDER_ATTACK, NOW)}, NOW) == 60


def test_a_recognised_owner_waits_half_a_minute_at_the_most():
    assert slowing.RECOGNISED.most <= 30


def attempts(limit: Limit, seconds: float) -> int:
    """How many attempts somebody makes who makes each as soon as it counts."""
    counter, now, count = Counter(0, NOW, NOW), NOW, 0
    while now < NOW + timedelta(seconds=seconds):
        assert wait({"": counter}, now) == 0
        counter = counted(lasting(counter, limit, now), limit, now)
        count += 1
        now = max(now + timedelta(milliseconds=100), counter.free_at)
    return count


def test_a_day_of_guessing_gains_little():
    day = 86_400

    assert attempts(slowing.PAIR, day) < 40
    assert attempts(slowing.ADDRESS, day) < 150
    assert attempts(slowing.NETWORK, day) < 1_700


def test_who_stops_for_a_while_is_forgiven():
    counter = Counter(100, NOW, NOW + timedelta(hours=1))

    assert lasting(counter, slowing.PAIR, NOW + timedelta(hours=23)) == counter
    assert lasting(counter, slowing.PAIR, NOW + timedelta(hours=24)).failures == 0


def test_waiting_for_what_is_forgotten_is_never_shorter_than_the_pause():
    """Or an attempt would be free again before its pause has ended."""
    assert all(limit.forget > limit.most for limit in ALL)
