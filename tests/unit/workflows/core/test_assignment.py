"""Who owns what, and whether more may come in: laws."""

from hypothesis import given
from hypothesis import strategies as st

from workflows.core.assignment import owner_of, share_of
from workflows.core.pressure import Pressure, PressurePolicy, retry_after

consumers = st.sets(st.integers(1, 10_000), min_size=1, max_size=12)
PARTITIONS = range(64)
POLICY = PressurePolicy(bound=10.0, min_rate=100.0, max_backlog=50_000)


@given(consumers)
def test_each_partition_has_one_owner(live: set[int]) -> None:
    shares = [share_of(consumer, live, PARTITIONS) for consumer in live]
    assert sorted(partition for share in shares for partition in share) == list(PARTITIONS)


@given(consumers, st.integers(10_001, 20_000))
def test_who_joins_or_leaves_moves_only_its_share(live: set[int], other: int) -> None:
    with_other = live | {other}
    for partition in PARTITIONS:
        before, after = owner_of(partition, live), owner_of(partition, with_other)
        assert after in (before, other)


def test_shares_are_about_even() -> None:
    live = set(range(1, 5))
    sizes = [len(share_of(consumer, live, range(4_000))) for consumer in live]
    assert min(sizes) > 800


def test_with_no_consumer_there_is_no_owner() -> None:
    assert owner_of(3, []) is None


@given(st.integers(1, 10_000), st.integers(0, 200_000), st.none() | st.floats(0, 50_000))
def test_events_are_refused_just_when_they_could_not_be_served_in_time(
    events: int, waiting: int, rate: float | None
) -> None:
    seconds = retry_after(events, Pressure(waiting, rate), POLICY)
    speed = max(rate or 0.0, POLICY.min_rate)
    fits = waiting + events <= min(speed * POLICY.bound, POLICY.max_backlog)
    assert (seconds is None) == (fits or waiting == 0)
    if seconds is not None:
        assert seconds >= 1
        # By then there is room, if the consumers keep their rate; or nothing waits at all.
        left = max(0.0, waiting - seconds * speed)
        assert left == 0 or left + events <= min(speed * POLICY.bound, POLICY.max_backlog) + 1e-6
