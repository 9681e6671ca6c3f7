"""The lanes' policy: who is turned away, who goes first, and that nobody starves."""

from dataclasses import replace
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from workflows.core.lanes import (
    AGED_SHARE,
    AGED_TURN,
    LaneLoad,
    LanePolicy,
    aged,
    aged_first,
    measured_rate,
    portions,
    refusal,
)
from workflows.core.states import Lane

LANES = [str(lane) for lane in Lane]
BOUNDS = {"critical": 2.0, "high": 10.0, "standard": 30.0, "bulk": 60.0}
LOADS = st.dictionaries(
    st.sampled_from(LANES),
    st.builds(
        LaneLoad,
        waiting=st.integers(0, 200_000),
        oldest=st.floats(0, 200),
        rate=st.none() | st.floats(0, 5_000),
        served=st.booleans(),
    ),
)
POLICIES = st.builds(
    LanePolicy,
    bounds=st.lists(st.floats(0.5, 100), min_size=4, max_size=4).map(
        lambda some: dict(zip(LANES, sorted(some), strict=True))
    ),
    ageing_at=st.floats(0.1, 0.9),
    min_rate=st.floats(1, 1_000),
    max_backlog=st.integers(1, 200_000),
)
POLICY = LanePolicy(BOUNDS, ageing_at=0.5, min_rate=350, max_backlog=100_000)
RUNS = st.integers(1, 10_000)


@given(LOADS, RUNS, POLICIES)
def test_critical_is_never_refused(loads, runs, policy):
    assert refusal("critical", runs, loads, policy) is None


@given(LOADS, RUNS, POLICIES)
def test_a_lane_that_refuses_a_single_run_is_refused_with_every_lane_behind_it(loads, runs, policy):
    refused = [refusal(lane, 1, loads, policy) is not None for lane in LANES]
    assert refused == sorted(refused), "the refused lanes are the least urgent ones"
    for lane, closed in zip(LANES, refused, strict=True):
        assert not closed or refusal(lane, runs, loads, policy) is not None


@given(LOADS, RUNS, POLICIES, st.sampled_from(LANES[1:]), st.sampled_from(LANES), st.integers(0, 10_000))
def test_more_work_never_opens_a_lane(loads, runs, policy, lane, where, more):
    if refusal(lane, runs, loads, policy) is None:
        return
    load = loads.get(where, LaneLoad())
    fuller = {**loads, where: LaneLoad(load.waiting + more, load.oldest, load.rate)}
    assert refusal(lane, runs, fuller, policy) is not None
    assert refusal(lane, runs + more, loads, policy) is not None


@given(LOADS, RUNS, POLICIES, st.sampled_from(LANES))
def test_a_refusal_says_how_many_would_fit_and_when_to_ask_again(loads, runs, policy, lane):
    refused = refusal(lane, runs, loads, policy)
    if refused is None:
        return
    assert refused.room < runs
    assert not refused.room or refusal(lane, refused.room, loads, policy) is None
    assert 1 <= refused.retry_after <= max(policy.bounds.values()) + 1


def test_a_rate_that_nobody_has_measured_keeps_nobody_away_for_long():
    policy = LanePolicy(bounds=dict.fromkeys(map(str, Lane), 60.0), ageing_at=0.5, min_rate=1.0, max_backlog=10_000)
    unknown, slow = LaneLoad(waiting=60, served=True), LaneLoad(waiting=60, rate=1.0, served=True)
    assert refusal("standard", 50, {"standard": unknown}, policy).retry_after == 2
    assert refusal("standard", 50, {"standard": replace(unknown, served=False)}, policy).retry_after == 50
    assert refusal("standard", 50, {"standard": slow}, policy).retry_after == 50


def test_a_lane_takes_what_can_be_served_within_its_bound_beside_what_waits():
    assert refusal("bulk", 350 * 60 - 1, {"bulk": LaneLoad(waiting=1)}, POLICY) is None
    assert refusal("bulk", 350 * 60, {"bulk": LaneLoad(waiting=1)}, POLICY) is not None
    fast = {"bulk": LaneLoad(waiting=1, rate=1_000)}
    assert refusal("bulk", 1_000 * 60 - 1, fast, POLICY) is None, "fast workers, longer queue"
    assert refusal("high", 350 * 10, {}, POLICY) is None


def test_where_nothing_waits_one_request_is_let_in_whatever_its_size():
    assert refusal("bulk", 1_000_000, {}, POLICY) is None
    assert refusal("bulk", 1_000_000, {"standard": LaneLoad(waiting=1)}, POLICY) is not None


def test_bulk_is_refused_first_then_standard_then_high():
    def closed(waiting: int) -> list[str]:
        loads = {"bulk": LaneLoad(waiting), "standard": LaneLoad(waiting // 3), "high": LaneLoad(waiting // 10)}
        return [lane for lane in LANES if refusal(lane, 1, loads, POLICY)]

    assert closed(10_000) == []
    assert closed(20_000) == ["bulk"]
    assert closed(25_000) == ["standard", "bulk"]
    assert closed(36_000) == ["high", "standard", "bulk"]


def test_work_past_its_bound_closes_its_lane_and_those_behind_it():
    late = {"standard": LaneLoad(1, oldest=31)}
    assert [lane for lane in LANES if refusal(lane, 1, late, POLICY)] == ["standard", "bulk"]


def test_an_aged_lane_takes_only_what_its_share_of_the_turns_can_serve():
    aged_bulk = {"bulk": LaneLoad(1_000, oldest=31)}
    room = int(350 * AGED_SHARE * 30) - 1_000
    assert refusal("bulk", room, aged_bulk, POLICY) is None
    assert refusal("bulk", room + 1, aged_bulk, POLICY) is not None


OLDEST = st.dictionaries(st.sampled_from(LANES), st.floats(0, 300))


@given(OLDEST, POLICIES, st.integers(1, 200), st.sets(st.sampled_from(LANES), min_size=1))
def test_aged_lanes_get_their_share_and_no_more_and_then_urgency_decides(oldest, policy, room, served):
    order = portions(sorted(served), oldest, policy, room)
    late = aged(sorted(served), oldest, policy)
    assert [lane for lane, _ in order] == late + [lane for lane in LANES if lane in served]
    assert all(most == room for _, most in order[len(late) :]), "what the share leaves goes to anybody"
    assert sum(most for _, most in order[: len(late)]) <= room * AGED_SHARE + len(late)
    assert all(most >= 1 for _, most in order)
    assert set(late) == {lane for lane in served if oldest.get(lane, 0) >= policy.ages_after(lane) and lane in oldest}


@given(st.lists(st.sampled_from(LANES), min_size=1, unique=True), st.integers(0, 1_000))
def test_every_aged_lane_has_a_turn_in_each_round(late, turn):
    length = AGED_TURN * len(late)
    first = [aged_first(number, late) for number in range(turn, turn + length)]
    assert sorted(lane for lane in first if lane) == sorted(late)
    assert first.count(None) == length - len(late)


@given(
    st.sets(st.sampled_from(LANES[:-1]), min_size=1),
    st.floats(0.01, 0.5),
    st.integers(1, 50),
)
def test_standing_floods_of_all_that_is_more_urgent_cannot_hold_bulk_past_its_bound(floods, seconds, before):
    """One thread, turns of `seconds`, floods that never end, `before` runs in front of ours; aged turns take 20."""
    oldest = dict.fromkeys(floods, 1_000.0)
    now, waiting = 0.0, before + 1
    for turn in count():
        lane = aged_first(turn, aged(LANES, {**oldest, "bulk": now}, POLICY))
        if lane is not None:
            now += seconds
            waiting -= 20 if lane == "bulk" else 0
        if waiting <= 0:
            break
        now += seconds  # the message's own work: always the flood's
    turns = -(-(before + 1) // 20) * AGED_TURN * 4
    assert now <= POLICY.ages_after("bulk") + turns * 2 * seconds
    assert turns * 2 * seconds > 30 or now <= BOUNDS["bulk"]


@given(st.none() | st.floats(0, 1e4), st.integers(0, 10_000), st.floats(0.1, 10), st.booleans(), st.floats(1, 1e4))
def test_an_idle_worker_keeps_its_rate_and_a_busy_one_moves_towards_what_it_does(before, taken, seconds, busy, assumed):
    after = measured_rate(before, taken, seconds, busy=busy, assumed=assumed)
    if before is None:
        assert after == (taken / seconds if taken and (busy or taken / seconds > assumed) else None)
    elif not busy:
        assert after == max(before, taken / seconds)
    else:
        low, high = sorted([before, taken / seconds])
        assert low - 1e-6 <= after <= high + 1e-6
