"""Who is on call, over changes of the clock, and what a plan must say."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.core.oncall import BadPlan, Override, Plan, Rotation, read_plan
from monitoring.core.rotations import hand_over, next_on_call, number_at, on_call, shifts, whose_turn

PLAN: dict[str, Any] = {
    "people": {"ana": ["ana-phone", "ana-mail"], "ben": ["ben-phone"], "cem": ["cem-phone"]},
    "rotations": {
        "primary": {"zone": "Europe/Berlin", "starts": "2026-01-05", "at": ["09:00"], "days": 7,
                    "people": ["ana", "ben", "cem"]},
        "night": {"zone": "Europe/Berlin", "starts": "2026-01-05", "at": ["08:00", "20:00"], "days": 1,
                  "people": ["ana", "ben"]},
    },
    "ladders": {
        "default": {"rungs": [{"to": ["on-call/primary"], "wait": "5m"},
                              {"to": ["everyone/primary", "channel/ops"], "wait": "10m"}], "repeat": 1},
    },
}  # fmt: skip
CHANNELS = {"ana-phone", "ana-mail", "ben-phone", "cem-phone", "ops"}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rotation(**changes: Any) -> Rotation:
    return Rotation.model_validate({**PLAN["rotations"]["primary"], **changes})


def test_hand_overs_are_at_nine_on_the_wall_in_winter_and_in_summer() -> None:
    plan = read_plan(PLAN, CHANNELS)
    known = plan.rotations["primary"]
    # The clock goes forward on 29 March 2026 and back on 25 October 2026.
    assert hand_over(known, 11) == utc("2026-03-23T08:00")
    assert hand_over(known, 12) == utc("2026-03-30T07:00")
    assert hand_over(known, 42) == utc("2026-10-26T08:00")
    assert hand_over(known, 41) == utc("2026-10-19T07:00")
    for at, who in [("2026-03-30T06:59", "cem"), ("2026-03-30T07:00", "ana"), ("2026-10-26T07:59", "cem"),
                    ("2026-10-26T08:00", "ana")]:  # fmt: skip
        assert on_call(plan, (), "primary", utc(at)) == who
    (longest,) = list(shifts(plan, (), "primary", utc("2026-10-19T07:00"), utc("2026-10-26T08:00")))
    assert longest.ends - longest.starts == timedelta(days=7, hours=1)


def test_a_time_that_is_jumped_over_or_comes_twice_is_one_hand_over() -> None:
    daily = rotation(starts="2026-03-28", at=["02:30"], days=1, people=["ana", "ben"])
    assert [hand_over(daily, number) for number in range(3)] == [
        utc("2026-03-28T01:30"), utc("2026-03-29T01:30"), utc("2026-03-30T00:30")
    ]  # fmt: skip
    daily = rotation(starts="2026-10-24", at=["02:30"], days=1, people=["ana", "ben"])
    assert [hand_over(daily, number) for number in range(3)] == [
        utc("2026-10-24T00:30"), utc("2026-10-25T00:30"), utc("2026-10-26T01:30")
    ]  # fmt: skip
    # Between the two 2:30 of that night nobody else is on call.
    assert [whose_turn(daily, utc(at)) for at in ("2026-10-25T00:30", "2026-10-25T01:30")] == ["ben", "ben"]


def test_two_hand_overs_a_day_keep_each_person_on_their_half() -> None:
    plan = read_plan(PLAN, CHANNELS)
    for day in ("2026-01-06", "2026-07-01"):
        local = [datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZoneInfo("Europe/Berlin"))
                 for clock in ("07:59", "08:00", "19:59", "20:00")]  # fmt: skip
        assert [on_call(plan, (), "night", at) for at in local] == ["ben", "ana", "ana", "ben"]


def test_before_the_first_day_somebody_is_on_call_too() -> None:
    plan = read_plan(PLAN, CHANNELS)
    assert on_call(plan, (), "primary", utc("2026-01-05T07:59")) == "cem"
    assert on_call(plan, (), "primary", utc("2025-12-29T07:59")) == "ben"


def test_the_latest_override_counts_and_one_to_somebody_who_is_gone_does_not() -> None:
    plan = read_plan(PLAN, CHANNELS)
    day = [utc("2026-01-06T00:00"), utc("2026-01-07T00:00")]
    overrides = [Override(1, "primary", "ben", *day), Override(2, "primary", "cem", day[0], utc("2026-01-06T12:00")),
                 Override(3, "primary", "dora", *day), Override(4, "night", "ben", *day)]  # fmt: skip
    assert on_call(plan, overrides, "primary", utc("2026-01-06T06:00")) == "cem"
    assert on_call(plan, overrides, "primary", utc("2026-01-06T18:00")) == "ben"
    assert on_call(plan, overrides, "primary", day[1]) == "ana"
    assert next_on_call(plan, overrides, "primary", utc("2026-01-06T18:00")) == "cem"
    found = list(shifts(plan, overrides, "primary", utc("2026-01-05T08:00"), utc("2026-01-12T08:00")))
    assert [(one.person, one.instead_of) for one in found] == [
        ("ana", None), ("cem", "ana"), ("ben", "ana"), ("ana", None)
    ]  # fmt: skip


moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
rotations = st.builds(
    rotation,
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Pacific/Apia"]),
    starts=st.dates(datetime(2015, 1, 1).date(), datetime(2040, 1, 1).date()).map(str),
    at=st.lists(st.times().map(lambda at: f"{at:%H:%M}"), min_size=1, max_size=1),
    days=st.integers(1, 30),
    people=st.sampled_from([["ana"], ["ana", "ben"], ["ana", "ben", "cem"]]),
)


@given(rotations, moments)
def test_each_moment_lies_between_two_hand_overs_in_their_order(known: Rotation, at: datetime) -> None:
    number = number_at(known, at)
    assert hand_over(known, number) <= at < hand_over(known, number + 1)
    local = hand_over(known, number).astimezone(ZoneInfo(known.zone))
    assert (local.date() - known.first_day).days % known.days in (0, 1), "Apia left a day out"


drawn_overrides = st.tuples(st.integers(-400, 400), st.integers(1, 400), st.sampled_from(["ana", "ben"]))


@given(rotations, moments, st.lists(drawn_overrides, max_size=5))
def test_shifts_leave_no_gap_and_say_what_on_call_says(
    known: Rotation, at: datetime, drawn: list[tuple[int, int, str]]
) -> None:
    plan = Plan(people={name: ["x"] for name in ("ana", "ben", "cem")}, rotations={"r": known})
    overrides = [
        Override(number, "r", who, at + timedelta(hours=begin), at + timedelta(hours=begin + length))
        for number, (begin, length, who) in enumerate(drawn)
    ]
    until = at + timedelta(days=20)
    found = list(shifts(plan, overrides, "r", at, until))
    assert found[0].starts <= at
    assert found[-1].ends >= until
    for one, other in pairwise(found):
        assert one.ends == other.starts
        assert (one.person, one.instead_of) != (other.person, other.instead_of)
    for one in found:
        for inside in (one.starts, one.ends - timedelta(seconds=1)):
            assert on_call(plan, overrides, "r", inside) == one.person


def test_every_fault_of_a_plan_is_named_at_once() -> None:
    with pytest.raises(BadPlan) as caught:
        read_plan(
            {
                "people": {"ana": ["nowhere"], "Bad Name": ["ops"]},
                "rotations": {
                    "primary": {"zone": "Europe/Nowhere", "starts": "2026-13-01", "at": ["9:00"], "days": 0,
                                "people": ["ana", "dora"]},
                },
                "ladders": {"default": {"rungs": [{"to": ["on-call/none", "channel/gone", "x"], "wait": "1s"}],
                                        "repeat": 99, "more": 1}},
            },
            CHANNELS,
        )  # fmt: skip
    paths = {fault.path for fault in caught.value.faults}
    assert paths >= {
        "people.ana[0]", "rotations.primary.zone", "rotations.primary.starts", "rotations.primary.at[0]",
        "rotations.primary.days", "rotations.primary.people[1]", "ladders.default.rungs[0].to[0]",
        "ladders.default.rungs[0].to[1]", "ladders.default.rungs[0].to[2]", "ladders.default.rungs[0].wait",
        "ladders.default.repeat", "ladders.default.more",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"at": ["09:00", "09:00"], "days": 1}, "rotations.primary.at"),
        ({"at": ["09:00", "21:00"]}, "rotations.primary.days"),
    ],
)
def test_times_that_contradict_each_other_are_refused(change: dict[str, Any], path: str) -> None:
    plan = {**PLAN, "rotations": {**PLAN["rotations"], "primary": {**PLAN["rotations"]["primary"], **change}}}
    with pytest.raises(BadPlan) as caught:
        read_plan(plan, CHANNELS)
    assert [fault.path for fault in caught.value.faults] == [path]


hostile = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["on-call/primary", "ana"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["people", "rotations", "ladders", "rungs", "to", "at", "zone", "x"]), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@given(hostile)
def test_no_document_raises_anything_but_its_faults(document: Any) -> None:
    with suppress(BadPlan):
        read_plan(document, CHANNELS)
