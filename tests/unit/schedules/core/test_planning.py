"""What a schedule does about its moments: late ones, missed ones, and those that come while the run before goes on."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedules.core.planning import PORTION, SKIPPED, STARTING, WAITING, Planned, plan
from schedules.core.spec import Spec, read

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hourly(**says: Any) -> Spec:
    document = {
        "workflow": "w",
        "catch_up": "none",
        "overlap": "allow",
        "every": "1h",
        "from": NOON.isoformat(),
        **says,
    }
    found, faults = read(document, stored_at=NOON)
    assert found is not None, faults
    return found


def planned(spec: Spec, now: datetime, *, next_at: datetime = NOON, busy: bool = False, waits: bool = False) -> Planned:
    return plan("s", spec, next_at=next_at, now=now, busy=busy, waits=waits)


def said(found: Planned) -> list[tuple[datetime, str]]:
    return [(one.at, one.outcome) for one in found.decisions]


def test_a_moment_that_came_starts_and_the_next_one_follows() -> None:
    found = planned(hourly(), NOON + timedelta(seconds=1))
    assert said(found) == [(NOON, STARTING)]
    assert found.next_at == found.next_start == NOON + HOUR
    assert planned(hourly(), NOON - timedelta(seconds=1)).decisions == []


@pytest.mark.parametrize(
    ("catch_up", "outcomes"),
    [("none", [SKIPPED]), ("latest", [SKIPPED, STARTING]), ("all", [STARTING] * 6)],
)
def test_missed_moments(catch_up: str, outcomes: list[str]) -> None:
    found = planned(hourly(catch_up=catch_up), NOON + timedelta(hours=5, minutes=30))
    assert [one.outcome for one in found.decisions] == outcomes
    assert found.next_at == NOON + 6 * HOUR
    if catch_up == "latest":
        left_out, started = found.decisions
        assert (left_out.at, left_out.until) == (NOON, NOON + 5 * HOUR - timedelta(microseconds=1))
        assert started.at == NOON + 5 * HOUR
        assert started.caught_up


def test_a_moment_on_time_starts_beside_missed_ones() -> None:
    found = planned(hourly(), NOON + 3 * HOUR + timedelta(seconds=10))
    assert [one.outcome for one in found.decisions] == [SKIPPED, STARTING]
    assert found.decisions[-1].at == NOON + 3 * HOUR


def test_what_is_older_than_catch_up_within_never_starts() -> None:
    found = planned(hourly(catch_up="all", catch_up_within="2h"), NOON + timedelta(hours=5, minutes=30))
    assert [one.outcome for one in found.decisions] == [SKIPPED, STARTING, STARTING]
    assert [one.at for one in found.decisions[1:]] == [NOON + 4 * HOUR, NOON + 5 * HOUR]


def test_many_missed_moments_are_one_row_or_come_in_portions() -> None:
    month = NOON + timedelta(days=30, seconds=5)
    found = planned(hourly(catch_up="latest", catch_up_within="31d", every="30m"), month - timedelta(minutes=2))
    assert [one.outcome for one in found.decisions] == [SKIPPED, STARTING]
    # The latest of the missed ones does not start where a later one starts as usual.
    found = planned(hourly(catch_up="latest", catch_up_within="31d", every="30m"), month)
    assert [(one.outcome, one.caught_up) for one in found.decisions] == [(SKIPPED, False), (STARTING, False)]
    found = planned(hourly(catch_up="all", catch_up_within="31d", every="10m"), month)
    assert len(found.decisions) == PORTION
    assert found.next_at == NOON + PORTION * timedelta(minutes=10)


@pytest.mark.parametrize(
    ("overlap", "busy", "outcomes"),
    [
        ("allow", True, [STARTING, STARTING]),
        ("skip", True, [SKIPPED, SKIPPED]),
        ("skip", False, [STARTING, SKIPPED]),
        ("wait", True, [SKIPPED, WAITING]),
        ("wait", False, [STARTING, WAITING]),
    ],
)
def test_the_run_before_goes_on(overlap: str, busy: bool, outcomes: list[str]) -> None:
    found = planned(hourly(overlap=overlap, catch_up="all"), NOON + timedelta(hours=1, minutes=5), busy=busy)
    assert [one.outcome for one in found.decisions] == outcomes


def test_a_later_start_takes_the_place_of_one_that_waits() -> None:
    found = planned(hourly(overlap="wait"), NOON + timedelta(seconds=1), busy=True, waits=True)
    assert said(found) == [(NOON, WAITING)]
    assert found.overtaken


def test_jitter_does_not_make_a_start_missed() -> None:
    spec = hourly(jitter="50m")
    first = planned(spec, NOON - HOUR)
    assert first.next_start is not None
    assert NOON < first.next_start < NOON + HOUR
    assert planned(spec, first.next_start - timedelta(seconds=1)).decisions == []
    assert said(planned(spec, first.next_start + timedelta(seconds=1))) == [(NOON, STARTING)]


@given(
    catch_up=st.sampled_from(["none", "latest", "all"]),
    overlap=st.sampled_from(["allow", "skip", "wait"]),
    looks=st.lists(st.integers(1, 7 * 86_400), min_size=1, max_size=12),
    jitter=st.sampled_from([None, "5m"]),
)
def test_every_moment_is_decided_on_once_whenever_the_leader_looks(
    catch_up: str, overlap: str, looks: list[int], jitter: str | None
) -> None:
    more = {"jitter": jitter} if jitter else {}
    if catch_up != "none":
        more["catch_up_within"] = "10d"
    spec = hourly(catch_up=catch_up, overlap=overlap, **more)
    now, covered = NOON, []
    next_at: datetime | None = NOON
    for seconds in looks:
        now += timedelta(seconds=seconds)
        while next_at is not None:
            found = planned(spec, now, next_at=next_at)
            for one in found.decisions:
                moment, last = one.at, one.until or one.at
                while moment <= last:
                    covered.append(moment)
                    moment += HOUR
            if found.next_at == next_at or found.next_start is None or found.next_start > now:
                next_at = found.next_at
                break
            next_at = found.next_at
    assert covered == [NOON + number * HOUR for number in range(len(covered))]
    assert covered == [] or covered[-1] + HOUR == next_at
