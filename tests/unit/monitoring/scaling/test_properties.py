"""Laws of the scaling policy: whatever is measured, in whatever order."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.scaling.policy import ALWAYS_ADDED, EMERGENCY_PAUSE, SPARE, Changes, Load, ScalingPolicy, decide
from workflows.core.lanes import LaneLoad, LanePolicy
from workflows.core.states import Lane

LANES = LanePolicy({"critical": 2.0, "high": 10.0, "standard": 30.0, "bulk": 60.0}, 0.5, 350.0, 100_000)
POLICY = ScalingPolicy(LANES)

shares = st.none() | st.floats(0, 3)
# Small loads and large ones, so that each measure comes to be the largest.
waiting = st.integers(0, 20) | st.integers(0, 200_000)
lane_loads = st.builds(LaneLoad, waiting=waiting, oldest=st.floats(0, 30) | st.floats(0, 600), rate=st.none())
loads = st.builds(
    Load,
    lanes=st.dictionaries(st.sampled_from([str(lane) for lane in Lane]), lane_loads),
    rate=st.none() | st.floats(0, 5_000),
    cpu=shares,
    memory=shares,
    full=st.booleans(),
)
limits = st.tuples(st.integers(1, 50), st.integers(0, 50)).map(lambda pair: (pair[0], pair[0] + pair[1]))
policies = st.builds(
    lambda both, up, down: ScalingPolicy(LANES, fewest=both[0], most=both[1], up_cooldown=up, down_cooldown=down),
    limits,
    st.floats(EMERGENCY_PAUSE, 100),
    st.floats(EMERGENCY_PAUSE, 200),
)


class Story:
    """Replicas that change only as they are decided."""

    def __init__(self, policy: ScalingPolicy, replicas: int) -> None:
        self.policy, self.replicas, self.changes, self.now = policy, replicas, Changes(), 0.0
        #: (moment, direction, emergency)
        self.log: list[tuple[float, str, bool]] = []

    def tell(self, load: Load, seconds: float) -> None:
        self.now += seconds
        decided = decide(self.replicas, load, self.changes, self.policy, now=self.now)
        assert self.policy.fewest <= decided.replicas <= self.policy.most
        if decided.replicas != self.replicas:
            direction = "up" if decided.replicas > self.replicas else "down"
            self.log.append((self.now, direction, decided.emergency))
            self.changes = replace(self.changes, **{direction: self.now})
            self.replicas = decided.replicas


@given(policies, st.lists(st.tuples(loads, st.floats(0.1, 50)), max_size=60), st.data())
def test_replicas_stay_within_their_limits_and_changes_keep_their_distance(
    policy: ScalingPolicy, told: list[tuple[Load, float]], data: st.DataObject
) -> None:
    story = Story(policy, data.draw(st.integers(policy.fewest, policy.most)))
    for load, seconds in told:
        story.tell(load, seconds)
    for (before, _, _), (at, direction, emergency) in pairwise(story.log):
        if emergency:
            assert direction == "up"
        else:
            rest = policy.up_cooldown if direction == "up" else policy.down_cooldown
            assert at - before >= rest - 1e-9, "two changes too close, whichever way the first one went"
    ups = [at for at, direction, _ in story.log if direction == "up"]
    assert all(later - at >= EMERGENCY_PAUSE - 1e-9 for at, later in pairwise(ups))


@given(loads, st.integers(0, 80), policies)
def test_replicas_outside_of_the_limits_are_brought_back_at_once(
    load: Load, current: int, policy: ScalingPolicy
) -> None:
    decided = decide(current, load, Changes(up=0.0, down=0.0), policy, now=0.1)
    assert policy.fewest <= decided.replicas <= policy.most
    assert decided.reason


rests = st.sampled_from([0.0, 10.0, 1_000.0])


@settings(max_examples=500)
@given(loads, loads, st.integers(2, 50), rests, rests)
def test_more_load_never_means_fewer_replicas(less: Load, other: Load, current: int, up: float, down: float) -> None:
    def most(a: float | None, b: float | None) -> float | None:
        return a if b is None else b if a is None else max(a, b)

    lanes = {
        lane: LaneLoad(max(one.waiting for one in both), max(one.oldest if one.waiting else 0.0 for one in both))
        for lane in {*less.lanes, *other.lanes}
        if (both := [load.lanes[lane] for load in (less, other) if lane in load.lanes])
    }
    less = replace(less, full=False)
    more = replace(less, lanes=lanes, cpu=most(less.cpu, other.cpu), memory=most(less.memory, other.memory))
    changes = Changes(up=-up, down=-down)
    first, second = (decide(current, load, changes, POLICY, now=0.0).replicas for load in (less, more))
    assert second >= first


@given(st.floats(0, 60), st.integers(2, 50), st.lists(st.floats(-1, 1), min_size=40, max_size=40))
def test_a_load_that_wavers_a_little_moves_the_replicas_one_way_only(
    cores: float, replicas: int, waver: list[float]
) -> None:
    """CPU work that is shared by however many replicas there are, within 6 % of its mean."""
    story = Story(POLICY, replicas)
    for noise in waver:
        story.tell(Load(cpu=cores * (1 + 0.06 * noise) / story.replicas), 70.0)
    turns = sum(a[1] != b[1] for a, b in pairwise(story.log))
    # From above it may land a whole replica short of what the highest waver needs: once up again, and no more.
    assert turns <= 1, story.log


@given(st.floats(0, 30), st.integers(2, 50))
def test_a_steady_load_is_settled_for_good(cores: float, replicas: int) -> None:
    story = Story(POLICY, replicas)
    for _ in range(30):
        story.tell(Load(cpu=cores / story.replicas), 70.0)
    settled = len(story.log)
    for _ in range(30):
        story.tell(Load(cpu=cores / story.replicas), 70.0)
    assert len(story.log) == settled
    need = max(2, math.ceil(cores / POLICY.cpu_target - 1e-6))
    assert min(50, need) <= story.replicas <= max(min(50, need), math.ceil(need * (1 + SPARE)) + 1, replicas)


def test_the_backlog_asks_for_as_many_as_serve_it_before_it_ages() -> None:
    # 30,000 standard steps, 200 a second each, 15 s before they age: 10 replicas.
    load = Load({"standard": LaneLoad(30_000, 1.0)}, rate=200.0)
    assert decide(8, load, Changes(), POLICY, now=0.0).replicas == 10
    # What waits in more urgent lanes is served before it.
    load = Load({"high": LaneLoad(15_000, 1.0), "standard": LaneLoad(30_000, 1.0)}, rate=200.0)
    assert decide(14, load, Changes(), POLICY, now=0.0).replicas == 15
    assert decide(2, load, Changes(), POLICY, now=0.0).replicas == 2 + ALWAYS_ADDED, "not all at one time"


def test_an_emergency_breaks_the_cooldown_but_not_the_limit() -> None:
    fresh = Changes(up=0.0)
    late = Load({"critical": LaneLoad(3, 1.0)}, rate=1_000.0)
    decided = decide(4, late, fresh, POLICY, now=EMERGENCY_PAUSE)
    assert (decided.replicas, decided.emergency) == (5, True)
    assert decide(4, late, fresh, POLICY, now=EMERGENCY_PAUSE - 1).replicas == 4, "one needs a moment to start"
    assert decide(50, late, fresh, POLICY, now=60.0).replicas == 50
    assert decide(4, Load({"high": LaneLoad(3, 5.5)}, rate=1_000.0), fresh, POLICY, now=6.0).replicas == 4


def test_a_machine_without_memory_gets_no_more() -> None:
    decided = decide(4, Load(cpu=1.0, full=True), Changes(), POLICY, now=0.0)
    assert decided.replicas == 4
    assert "memory" in decided.reason


@pytest.mark.parametrize(
    "wrong", [{"fewest": 0}, {"fewest": 5, "most": 4}, {"cpu_target": 0.0}, {"memory_target": 1.5}, {"up_cooldown": -1}]
)
def test_limits_that_exclude_each_other_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        ScalingPolicy(LANES, **wrong)
