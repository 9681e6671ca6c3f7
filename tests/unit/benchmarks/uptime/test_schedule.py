"""The schedule of faults follows from its seed."""

from collections import Counter
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.uptime.kinds import KINDS
from benchmarks.uptime.schedule import SPACING, TAIL, plan

#: a machine that is busy with other things takes its time
busy = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

seeds = st.integers(0, 2**31)
kinds = st.lists(st.sampled_from(sorted(KINDS)), min_size=1, unique=True)
durations = st.floats(20, 3600)


@busy
@given(seeds, kinds, durations)
def test_the_same_seed_gives_the_same_schedule(seed, chosen, duration):
    assert plan(seed, chosen, duration) == plan(seed, chosen, duration)


@busy
@given(seeds, kinds, durations)
def test_faults_keep_their_distance_and_leave_time_to_see_the_recovery(seed, chosen, duration):
    planned = plan(seed, chosen, duration)
    times = [one.at for one in planned]
    assert planned
    assert all(later - earlier >= SPACING - 1e-6 for earlier, later in pairwise(times))
    assert times[0] >= min(8.0, duration / 4)
    assert times[-1] <= duration - min(TAIL, duration / 4)


@busy
@given(seeds, kinds, durations)
def test_no_kind_comes_again_before_all_others_have_come(seed, chosen, duration):
    counts = Counter(one.kind for one in plan(seed, chosen, duration))
    assert set(counts) <= set(chosen)
    assert max(counts.values()) - min(counts[name] for name in chosen) <= 1


def test_five_minutes_hold_every_kind_and_half_an_hour_holds_them_several_times():
    assert {one.kind for one in plan(1, list(KINDS), 300)} == set(KINDS)
    assert min(Counter(one.kind for one in plan(1, list(KINDS), 1800)).values()) >= 3


def test_other_seeds_give_other_orders():
    assert len({tuple(one.kind for one in plan(seed, list(KINDS), 300)) for seed in range(20)}) == 20


def test_without_kinds_there_are_no_faults():
    assert plan(1, [], 300) == []
