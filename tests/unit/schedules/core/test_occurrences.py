"""The moments of schedules: golden cases, each worked out by hand from the rules of its zone or its country."""

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Any

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from schedules.core.occurrences import occurrences
from schedules.core.spec import Spec, read

STORED = datetime(2026, 1, 1, tzinfo=UTC)


def spec(**says: Any) -> Spec:
    found, faults = read({"workflow": "w", "catch_up": "none", "overlap": "allow", **says}, stored_at=STORED)
    assert found is not None, faults
    return found


def local(found: Spec, after: str, count: int) -> list[str]:
    """The next moments as the clock of the zone shows them: `2026-03-29 03:00 +02:00`."""
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(found.timezone)
    moments = islice(occurrences(found, datetime.fromisoformat(after)), count)
    return [one.at.astimezone(zone).isoformat(sep=" ", timespec="minutes") for one in moments]


#: (zone, expression, after, the next moments)
CASES: list[tuple[str, str, str, list[str]]] = [
    # --- spring forward: what the clock jumps over comes right after the jump
    ("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00Z", ["2026-03-29 03:00+02:00", "2026-03-30 02:30+02:00"]),
    ("Europe/Berlin", "0 2 * * *", "2026-03-28T12:00Z", ["2026-03-29 03:00+02:00", "2026-03-30 02:00+02:00"]),
    ("Europe/Berlin", "0 3 * * *", "2026-03-28T12:00Z", ["2026-03-29 03:00+02:00", "2026-03-30 03:00+02:00"]),
    ("Europe/Berlin", "0 7 * * *", "2026-03-28T12:00Z", ["2026-03-29 07:00+02:00", "2026-03-30 07:00+02:00"]),
    ("Europe/Berlin", "0 * * * *", "2026-03-29T00:30Z", ["2026-03-29 03:00+02:00", "2026-03-29 04:00+02:00"]),
    ("Europe/Berlin", "*/30 * * * *", "2026-03-29T00:30Z", ["2026-03-29 03:00+02:00", "2026-03-29 03:30+02:00"]),
    ("America/New_York", "30 2 * * *", "2026-03-07T12:00Z", ["2026-03-08 03:00-04:00", "2026-03-09 02:30-04:00"]),
    ("America/New_York", "15 2 * * sun", "2026-03-07T12:00Z", ["2026-03-08 03:00-04:00", "2026-03-15 02:15-04:00"]),
    ("America/New_York", "0 9 * * *", "2026-03-07T12:00Z", ["2026-03-07 09:00-05:00", "2026-03-08 09:00-04:00"]),
    ("Australia/Lord_Howe", "15 2 * * *", "2026-10-02T16:00Z", ["2026-10-04 02:30+11:00", "2026-10-05 02:15+11:00"]),
    ("Australia/Lord_Howe", "0 12 * * *", "2026-10-03T00:00Z", ["2026-10-03 12:00+10:30", "2026-10-04 12:00+11:00"]),
    # --- autumn: a time that comes twice counts once, the first time (croniter fires it twice)
    ("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00Z", ["2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"]),
    ("Europe/Berlin", "0 2 * * *", "2026-10-24T12:00Z", ["2026-10-25 02:00+02:00", "2026-10-26 02:00+01:00"]),
    ("Europe/Berlin", "59 2 * * *", "2026-10-24T12:00Z", ["2026-10-25 02:59+02:00", "2026-10-26 02:59+01:00"]),
    ("Europe/Berlin", "0 3 * * *", "2026-10-24T12:00Z", ["2026-10-25 03:00+01:00", "2026-10-26 03:00+01:00"]),
    ("America/New_York", "30 1 * * *", "2026-10-31T12:00Z", ["2026-11-01 01:30-04:00", "2026-11-02 01:30-05:00"]),
    ("America/New_York", "0 1 * * *", "2026-10-31T12:00Z", ["2026-11-01 01:00-04:00", "2026-11-02 01:00-05:00"]),
    ("Australia/Lord_Howe", "45 1 * * *", "2026-04-03T16:00Z", ["2026-04-05 01:45+11:00", "2026-04-06 01:45+10:30"]),
    # … but every hour goes by real time
    (
        "Europe/Berlin",
        "0 * * * *",
        "2026-10-24T23:30Z",
        ["2026-10-25 02:00+02:00", "2026-10-25 02:00+01:00", "2026-10-25 03:00+01:00"],
    ),
    # --- a day that did not exist: Samoa had no 30 December 2011, a Friday; it is made up for right after the jump
    (
        "Pacific/Apia",
        "0 12 * * *",
        "2011-12-29T00:00Z",
        ["2011-12-29 12:00-10:00", "2011-12-31 00:00+14:00", "2011-12-31 12:00+14:00"],
    ),
    ("Pacific/Apia", "0 12 * * fri", "2011-12-24T00:00Z", ["2011-12-31 00:00+14:00", "2012-01-06 12:00+14:00"]),
    # --- month ends, leap days, names, steps
    ("UTC", "0 0 29 2 *", "2026-01-01T00:00Z", ["2028-02-29 00:00+00:00", "2032-02-29 00:00+00:00"]),
    ("UTC", "0 0 L * *", "2026-01-31T12:00Z", ["2026-02-28 00:00+00:00", "2026-03-31 00:00+00:00"]),
    ("UTC", "0 0 L 2 *", "2027-12-31T00:00Z", ["2028-02-29 00:00+00:00", "2029-02-28 00:00+00:00"]),
    ("UTC", "0 0 31 * *", "2026-01-31T12:00Z", ["2026-03-31 00:00+00:00", "2026-05-31 00:00+00:00"]),
    ("UTC", "0 0 30 * *", "2026-01-31T12:00Z", ["2026-03-30 00:00+00:00", "2026-04-30 00:00+00:00"]),
    ("UTC", "0 9 * * mon-fri", "2026-11-27T10:00Z", ["2026-11-30 09:00+00:00", "2026-12-01 09:00+00:00"]),
    ("UTC", "0 9 * * MON", "2026-11-27T10:00Z", ["2026-11-30 09:00+00:00", "2026-12-07 09:00+00:00"]),
    ("UTC", "0 0 1 jan,jul *", "2026-03-01T00:00Z", ["2026-07-01 00:00+00:00", "2027-01-01 00:00+00:00"]),
    ("UTC", "0 9 * * 1#1", "2026-11-27T10:00Z", ["2026-12-07 09:00+00:00", "2027-01-04 09:00+00:00"]),
    ("UTC", "0 9 * * 5L", "2026-11-01T00:00Z", ["2026-11-27 09:00+00:00", "2026-12-25 09:00+00:00"]),
    ("UTC", "0 9 * * 0", "2026-11-27T10:00Z", ["2026-11-29 09:00+00:00", "2026-12-06 09:00+00:00"]),
    ("UTC", "0 9 * * 7", "2026-11-27T10:00Z", ["2026-11-29 09:00+00:00", "2026-12-06 09:00+00:00"]),
    # a day of the month and a day of the week: either, as in cron
    ("UTC", "0 0 13 * 5", "2026-11-01T00:00Z", ["2026-11-06 00:00+00:00", "2026-11-13 00:00+00:00"]),
    ("UTC", "*/20 8-9 * * *", "2026-11-27T08:30Z", ["2026-11-27 08:40+00:00", "2026-11-27 09:00+00:00"]),
    ("UTC", "7/20 * * * *", "2026-11-27T08:30Z", ["2026-11-27 08:47+00:00", "2026-11-27 09:07+00:00"]),
    ("UTC", "0 22-23,0-1 * * *", "2026-11-27T23:30Z", ["2026-11-28 00:00+00:00", "2026-11-28 01:00+00:00"]),
    ("UTC", "59 23 31 12 *", "2026-11-27T00:00Z", ["2026-12-31 23:59+00:00", "2027-12-31 23:59+00:00"]),
    # zones off the hour
    ("Asia/Kathmandu", "0 9 * * *", "2026-11-27T00:00Z", ["2026-11-27 09:00+05:45", "2026-11-28 09:00+05:45"]),
    ("Asia/Kolkata", "0 0 * * *", "2026-11-27T00:00Z", ["2026-11-28 00:00+05:30", "2026-11-29 00:00+05:30"]),
    ("Pacific/Chatham", "0 9 * * *", "2026-11-27T00:00Z", ["2026-11-28 09:00+13:45", "2026-11-29 09:00+13:45"]),
    # exactly at a moment: only later ones
    ("UTC", "0 9 * * *", "2026-11-27T09:00Z", ["2026-11-28 09:00+00:00"]),
    ("UTC", "0 9 * * *", "2026-11-27T08:59:59.999999Z", ["2026-11-27 09:00+00:00"]),
]


@pytest.mark.parametrize(("zone", "cron", "after", "moments"), CASES, ids=[f"{c[0]} {c[1]} {c[2]}" for c in CASES])
def test_cron_means_the_clock_on_the_wall(zone: str, cron: str, after: str, moments: list[str]) -> None:
    assert local(spec(cron=cron, timezone=zone), after, len(moments)) == moments


#: every month of two years has its 1st at 09:00, and the day's offset is the zone's: 24 cases each
@pytest.mark.parametrize(
    ("zone", "summer", "winter", "changes"),
    [
        ("Europe/Berlin", "+02:00", "+01:00", ("2026-03-29", "2026-10-25", "2027-03-28", "2027-10-31")),
        ("America/New_York", "-04:00", "-05:00", ("2026-03-08", "2026-11-01", "2027-03-14", "2027-11-07")),
        ("Europe/London", "+01:00", "+00:00", ("2026-03-29", "2026-10-25", "2027-03-28", "2027-10-31")),
        ("Asia/Tokyo", "+09:00", "+09:00", ("2026-03-29", "2026-10-25", "2027-03-28", "2027-10-31")),
    ],
)
def test_months_in_two_years_of_four_zones(zone: str, summer: str, winter: str, changes: tuple[str, ...]) -> None:
    begins, ends, begins_again, ends_again = changes
    expected = []
    for year in (2026, 2027):
        for month in range(1, 13):
            day = f"{year}-{month:02}-01"
            is_summer = begins <= day < ends or begins_again <= day < ends_again
            expected.append(f"{day} 09:00{summer if is_summer else winter}")
    assert local(spec(cron="0 9 1 * *", timezone=zone), "2025-12-31T00:00Z", 24) == expected


#: (calendar, zone, expression, on_holiday, after, moments)
CLOSED: list[tuple[str, str, str, str, str, list[str]]] = [
    # Christmas 2026 is a Friday and Saturday in Germany; the 28th is the next business day
    ("DE", "Europe/Berlin", "0 9 25 12 *", "next", "2026-12-01T00:00Z", ["2026-12-28 09:00+01:00"]),
    (
        "DE",
        "Europe/Berlin",
        "0 9 24-28 12 *",
        "skip",
        "2026-12-01T00:00Z",
        ["2026-12-24 09:00+01:00", "2026-12-28 09:00+01:00"],
    ),
    # every day, moved: Friday to Sunday come on Monday together, once
    (
        "DE",
        "Europe/Berlin",
        "0 9 * * *",
        "next",
        "2026-12-24T12:00Z",
        ["2026-12-28 09:00+01:00", "2026-12-29 09:00+01:00"],
    ),
    # 8 March is a holiday in Berlin, not in Bavaria (2027: a Monday)
    ("DE-BE", "Europe/Berlin", "0 9 8 3 *", "next", "2027-01-01T00:00Z", ["2027-03-09 09:00+01:00"]),
    ("DE-BY", "Europe/Berlin", "0 9 8 3 *", "next", "2027-01-01T00:00Z", ["2027-03-08 09:00+01:00"]),
    # 4 July 2026 is a Saturday; the Friday before is observed
    ("US", "America/New_York", "0 9 3 7 *", "next", "2026-06-01T00:00Z", ["2026-07-06 09:00-04:00"]),
    # the weekend of the Emirates is Saturday and Sunday, of Saudi Arabia Friday and Saturday
    ("SA", "Asia/Riyadh", "0 9 * * fri", "next", "2026-11-26T12:00Z", ["2026-11-29 09:00+03:00"]),
    # the first of the month, on the first business day
    (
        "GB",
        "Europe/London",
        "0 9 1 * *",
        "next",
        "2026-12-15T00:00Z",
        ["2027-01-04 09:00+00:00", "2027-02-01 09:00+00:00"],
    ),
]


@pytest.mark.parametrize(
    ("calendar", "zone", "cron", "on", "after", "moments"), CLOSED, ids=[" ".join(c[:4]) for c in CLOSED]
)
def test_closed_days(calendar: str, zone: str, cron: str, on: str, after: str, moments: list[str]) -> None:
    found = spec(cron=cron, timezone=zone, calendar=calendar, on_holiday=on)
    assert local(found, after, len(moments)) == moments


def test_a_schedule_that_only_comes_on_holidays_never_comes() -> None:
    found = spec(cron="0 9 25 12 *", timezone="Europe/Berlin", calendar="DE", on_holiday="skip")
    assert list(occurrences(found, STORED)) == []


def test_an_interval_counts_real_time_from_its_first_start() -> None:
    found = spec(every="36h", **{"from": "2026-03-27T12:00:00+01:00"})
    moments = [one.at for one in islice(occurrences(found, datetime(2026, 3, 28, 23, tzinfo=UTC)), 2)]
    assert moments == [datetime(2026, 3, 30, 11, tzinfo=UTC), datetime(2026, 3, 31, 23, tzinfo=UTC)]
    assert next(occurrences(spec(every="1h"), STORED)).at == STORED + timedelta(hours=1)


def test_one_single_start_comes_once() -> None:
    found = spec(at="2026-12-24T16:00:00+01:00")
    assert [one.at for one in occurrences(found, STORED)] == [datetime(2026, 12, 24, 15, tzinfo=UTC)]
    assert list(occurrences(found, datetime(2026, 12, 24, 15, tzinfo=UTC))) == []


def test_jitter_is_always_the_same_and_never_more_than_asked_for() -> None:
    found = spec(cron="0 9 * * *", timezone="UTC", jitter="30m")
    ones = list(islice(occurrences(found, STORED), 50))
    late = [(one.starts("nightly", found.jitter) - one.at).total_seconds() for one in ones]
    assert late == [(one.starts("nightly", found.jitter) - one.at).total_seconds() for one in ones]
    assert all(0 <= seconds <= 1800 for seconds in late)
    assert len(set(late)) > 40
    assert ones[0].starts("other", found.jitter) != ones[0].starts("nightly", found.jitter)


@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Africa/Casablanca"]),
    after=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
)
def test_a_daily_time_comes_once_for_each_day(minute: int, hour: int, zone: str, after: datetime) -> None:
    from zoneinfo import ZoneInfo

    found = spec(cron=f"{minute} {hour} * * *", timezone=zone)
    days = [one.at.astimezone(ZoneInfo(zone)).date() for one in islice(occurrences(found, after), 20)]
    assert days == [days[0] + timedelta(days=number) for number in range(20)]


# --- what is refused


@pytest.mark.parametrize(
    ("says", "path"),
    [
        ({"cron": "0 9 * *", "timezone": "UTC"}, "cron"),
        ({"cron": "0 9 * * * *", "timezone": "UTC"}, "cron"),
        ({"cron": "61 9 * * *", "timezone": "UTC"}, "cron"),
        ({"cron": "@daily    ", "timezone": "UTC"}, "cron"),
        ({"cron": "0 9 * * *"}, "timezone"),
        ({"cron": "0 9 * * *", "timezone": "Europe/Berln"}, "timezone"),
        ({"cron": "0 9 * * *", "timezone": "../../etc/passwd"}, "timezone"),
        ({"every": "1s"}, "every"),
        ({"every": "400d"}, "every"),
        ({"every": "soon"}, "every"),
        ({"every": "1h", "timezone": "UTC"}, "timezone"),
        ({"at": "2026-12-24"}, "at"),
        ({"at": "2026-02-30T00:00:00Z"}, "at"),
        ({"at": "2026-12-24T16:00:00Z", "every": "1h"}, ""),
        ({}, ""),
        ({"every": "1h", "lane": "fast"}, "lane"),
        ({"every": "1h", "overlapp": "skip"}, "overlapp"),
        ({"every": "1h", "catch_up_within": "2d"}, "catch_up_within"),
        ({"every": "1h", "calendar": "DE", "on_holiday": "skip"}, "calendar"),
        ({"cron": "0 9 * * *", "timezone": "UTC", "calendar": "DE"}, "on_holiday"),
        ({"cron": "0 9 * * *", "timezone": "UTC", "calendar": "XX", "on_holiday": "skip"}, "calendar"),
        ({"cron": "0 9 * * *", "timezone": "UTC", "calendar": "DE-XX", "on_holiday": "skip"}, "calendar"),
        ({"every": "1h", "jitter": "2d"}, "jitter"),
        ({"every": "1h", "pause_on_failure": 0}, "pause_on_failure"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(says: dict[str, Any], path: str) -> None:
    found, faults = read({"workflow": "w", "catch_up": "none", "overlap": "allow", **says}, stored_at=STORED)
    assert found is None
    assert path in [fault.path for fault in faults], faults


def test_both_policies_must_be_named_and_all_faults_come_at_once() -> None:
    _, faults = read({"workflow": "w", "cron": "x", "timezone": "y", "jitter": "z"}, stored_at=STORED)
    said = {fault.path for fault in faults} | {str(fault) for fault in faults}
    assert {"cron", "timezone", "jitter"} <= said
    assert "catch_up" in str(faults)
    assert "overlap" in str(faults)
    for hostile in (None, [], 1, "x", {"cron": {"a": 1}}, {"at": 5}):
        assert read(hostile, stored_at=STORED)[1]


def test_a_moment_in_each_minute_that_moves_costs_no_more_than_the_closed_days_before_it() -> None:
    found = spec(cron="* * * * *", timezone="UTC", calendar="DE", on_holiday="next")
    counted = 0

    class Counting(CronSim):
        def __next__(self) -> datetime:
            nonlocal counted
            counted += 1
            return super().__next__()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("schedules.core.occurrences.CronSim", Counting)
        (first,) = islice(occurrences(found, datetime(2026, 11, 26, 2, tzinfo=UTC)), 1)
    assert first.at == datetime(2026, 11, 26, 2, 1, tzinfo=UTC)
    assert counted < 2 * 1_440


@pytest.mark.parametrize("cron", ["*/45 * * * *", "0 9 * * 6", "30 23 * * *"])
@pytest.mark.parametrize(
    ("calendar", "zone"), [("DE", "Europe/Berlin"), ("IL", "Asia/Jerusalem"), ("CN", "Asia/Tokyo")]
)
def test_the_moments_after_a_moment_are_those_that_are_seen_from_long_before(
    calendar: str, zone: str, cron: str
) -> None:
    found = spec(cron=cron, timezone=zone, calendar=calendar, on_holiday="next")
    seen = takewhile(lambda one: one.at.month < 6, occurrences(found, datetime(2026, 1, 5, tzinfo=UTC)))
    every = [one.at for one in seen]
    for hours in range(0, 24 * 80, 37):
        after = datetime(2026, 2, 10, tzinfo=UTC) + timedelta(hours=hours)
        assert [one.at for one in islice(occurrences(found, after), 3)] == [at for at in every if at > after][:3], after
