"""Legal clocks: month arithmetic, business days, holidays, and how clocks combine."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.core.clocks.calendars import closed
from workflows.core.clocks.clock import BadClock, Clock, OutOfRange
from workflows.core.clocks.deadline import deadline
from workflows.core.clocks.federal import us_federal_holidays
from workflows.core.clocks.reckoning import add_months, reckon
from workflows.core.clocks.where import Where
from workflows.core.clocks.zones import ZONES

MOMENTS = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))
DAYS = st.dates(min_value=date(1990, 1, 1), max_value=date(2100, 1, 1))


def runs_out(clock: Clock, start: datetime, zones: Sequence[str] = ()) -> datetime:
    return reckon(clock, start, [Where("", tuple(zones))]).due.at


def is_us_business_day(day: date) -> bool:
    return not closed("us_federal")(day)


def add_business_days(day: date, amount: int) -> date:
    clock = Clock("material", amount, "business_days", "UTC", calendar="us_federal")
    return runs_out(clock, datetime.combine(day, time(12), UTC)).date()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("year", "days"),
    [
        # Published by the Office of Personnel Management.
        (2025, "01-01 01-20 02-17 05-26 06-19 07-04 09-01 10-13 11-11 11-27 12-25"),
        (2026, "01-01 01-19 02-16 05-25 06-19 07-03 09-07 10-12 11-11 11-26 12-25"),
        (2027, "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31"),
        (2021, "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31"),
    ],
)
def test_federal_holidays_are_those_that_were_published(year: int, days: str) -> None:
    assert sorted(day.strftime("%m-%d") for day in us_federal_holidays(year)) == days.split()


@pytest.mark.parametrize(
    ("determined", "due"),
    [
        # Monday before Thanksgiving: Tuesday, Wednesday, Friday, Monday at 17:30 Eastern
        ("2026-11-23T16:30:00", "2026-11-30T22:30:00"),
        # Saturday: the count starts on, and includes, Monday (Form 8-K, General Instruction B.1)
        ("2026-08-08T12:00:00", "2026-08-13T21:30:00"),
        # 03:00 UTC on Friday is still Thursday in New York
        ("2026-08-07T03:00:00", "2026-08-12T21:30:00"),
        # over Christmas and New Year
        ("2026-12-23T15:00:00", "2026-12-30T22:30:00"),
    ],
)
def test_form_8k_is_due_on_the_fourth_business_day(determined: str, due: str) -> None:
    clock = Clock.of(
        {
            "trigger": "material",
            "amount": 4,
            "unit": "business_days",
            "calendar": "us_federal",
            "timezone": "America/New_York",
            "cutoff": "17:30",
        }
    )
    assert runs_out(clock, utc(determined)) == utc(due)


@given(DAYS, st.integers(1, 40))
def test_business_days_between_are_exactly_as_many_as_asked_for(day: date, amount: int) -> None:
    end = add_business_days(day, amount)
    between = [day + timedelta(days=n) for n in range(1, (end - day).days + 1)]
    assert is_us_business_day(end)
    assert sum(is_us_business_day(one) for one in between) == amount


@given(DAYS, st.integers(1, 20), st.integers(1, 20))
def test_business_days_add_up(day: date, first: int, then: int) -> None:
    assert add_business_days(add_business_days(day, first), then) == add_business_days(day, first + then)


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 10, 31), 13, date(2027, 11, 30)),
        (date(2026, 12, 31), 12, date(2027, 12, 31)),
    ],
)
def test_a_month_ends_on_the_same_day_or_the_last_one(day: date, months: int, then: date) -> None:
    assert add_months(day, months) == then


@given(DAYS, st.integers(1, 60))
def test_months_count_months(day: date, months: int) -> None:
    then = add_months(day, months)
    assert (then.year * 12 + then.month) - (day.year * 12 + day.month) == months
    # The same day, unless that month is too short for it: then its last.
    assert then.day == day.day or (then.day < day.day and (then + timedelta(days=1)).day == 1)


@given(MOMENTS, MOMENTS, st.integers(1, 24), st.sampled_from(["hours", "days", "months", "business_days"]))
def test_a_later_start_never_ends_earlier(a: datetime, b: datetime, amount: int, unit: str) -> None:
    clock = Clock("detected", amount, unit, "Europe/Brussels")
    first, second = sorted((a, b))
    assert runs_out(clock, first) <= runs_out(clock, second)
    assert runs_out(clock, first).tzinfo is UTC
    assert runs_out(clock, first) > first


@given(MOMENTS, st.integers(1, 2000))
def test_hours_are_elapsed_time_across_summer_time(start: datetime, hours: int) -> None:
    there = start.astimezone(ZoneInfo("America/New_York"))
    assert runs_out(Clock("detected", hours, "hours", "America/New_York"), there) - start == timedelta(hours=hours)


def test_a_month_ends_with_the_last_second_of_the_same_date_over_a_change_of_the_clocks() -> None:
    end = runs_out(Clock("detected", 1, "months", "Europe/Brussels"), utc("2026-10-10T08:00:00"))
    assert end == utc("2026-11-10T22:59:59")


def test_sixty_days_are_dates_and_not_multiples_of_24_hours() -> None:
    # Late in the evening of 15 January in New York, when it is the 16th in UTC; the clocks change on 8 March.
    found = runs_out(Clock("detected", 60, "days"), utc("2026-01-16T04:30:00"), ["America/New_York"])
    assert found == utc("2026-03-17T03:59:59")


def test_of_several_zones_the_earliest_deadline_counts() -> None:
    clock, start = Clock("detected", 3, "days"), utc("2026-06-10T12:00:00")
    by_zone = {zone: runs_out(clock, start, [zone]) for zone in ("Europe/Lisbon", "Europe/Berlin", "Europe/Helsinki")}
    assert runs_out(clock, start, list(by_zone)) == min(by_zone.values()) == by_zone["Europe/Helsinki"]
    # A clock with a zone of its own keeps it.
    assert runs_out(Clock("detected", 3, "days", "Asia/Singapore"), start, list(by_zone)) == utc("2026-06-13T15:59:59")


def end_of_period(unit: str, day: date, amount: int) -> date:
    """The last day of a period, counted day by day."""
    if unit == "months":
        year, month = divmod(day.year * 12 + day.month - 1 + amount, 12)
        last = (date(year + month // 11, (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
        return date(year, month + 1, min(day.day, last))
    if unit == "days_after_year_end":
        return date(day.year, 12, 31) + timedelta(days=amount)
    left = amount
    while left:
        day += timedelta(days=1)
        left -= unit == "days" or day.weekday() < 5
    return day


LOCAL_ZONES = st.sampled_from(sorted({zone for zones in ZONES.values() for zone in zones}))
PERIODS = st.sampled_from(["days", "months", "business_days", "days_after_year_end"])


@given(MOMENTS, st.integers(1, 40), PERIODS, LOCAL_ZONES)
def test_a_period_ends_with_the_last_second_of_its_last_day_where_its_law_is(
    start: datetime, amount: int, unit: str, zone: str
) -> None:
    end = runs_out(Clock("detected", amount, unit), start, [zone]).astimezone(ZoneInfo(zone))
    assert end.date() == end_of_period(unit, start.astimezone(ZoneInfo(zone)).date(), amount)
    assert end.timetz().replace(tzinfo=None) == time(23, 59, 59)


@given(MOMENTS, st.integers(1, 40), PERIODS, st.sampled_from(sorted(available_timezones())))
def test_where_nobody_knows_the_zone_no_zone_has_an_earlier_end(
    start: datetime, amount: int, unit: str, zone: str
) -> None:
    clock = Clock("detected", amount, unit)
    assert runs_out(clock, start) <= runs_out(clock, start, [zone])
    assert runs_out(clock, start) >= start + timedelta(hours=22)


def test_the_annual_log_is_due_sixty_days_into_the_next_year() -> None:
    clock = Clock("detected", 60, "days_after_year_end", "America/New_York")
    assert runs_out(clock, utc("2026-05-05T05:00:00")).astimezone(ZoneInfo("America/New_York")).date() == date(
        2027, 3, 1
    )
    assert runs_out(clock, utc("2027-05-05T05:00:00")).astimezone(ZoneInfo("America/New_York")).date() == date(
        2028, 2, 29
    )


DORA = [Clock("classified", 4, "hours"), Clock("detected", 24, "hours", backstop=True)]


@pytest.mark.parametrize(
    ("classified", "due"),
    [
        (None, "2026-03-03T10:00:00"),  # not classified yet: the backstop
        ("2026-03-02T12:00:00", "2026-03-02T16:00:00"),  # four hours after classification
        ("2026-03-03T09:00:00", "2026-03-03T10:00:00"),  # four hours would be too late: 24 h after awareness
        ("2026-03-04T09:00:00", "2026-03-04T13:00:00"),  # classified after the backstop: four hours again
    ],
)
def test_a_backstop_bounds_a_deadline_unless_the_trigger_came_after_it(classified: str | None, due: str) -> None:
    moments = {"detected": utc("2026-03-02T10:00:00")}
    if classified:
        moments["classified"] = utc(classified)
    found = deadline(DORA, moments)
    assert found is not None
    assert found.at == utc(due)


def test_confirmation_falls_back_to_detection_and_materiality_to_nothing() -> None:
    detected = {"detected": utc("2026-03-02T10:00:00")}
    found = deadline([Clock("confirmed", 72, "hours")], detected)
    assert found is not None
    assert (found.at, found.trigger) == (utc("2026-03-05T10:00:00"), "detected")
    assert deadline([Clock("material", 4, "business_days")], detected) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "object"),
        ({"trigger": "guessed", "amount": 1, "unit": "hours"}, "trigger"),
        ({"trigger": "detected", "amount": 0, "unit": "hours"}, "amount"),
        ({"trigger": "detected", "amount": True, "unit": "hours"}, "amount"),
        ({"trigger": "detected", "amount": 10**9, "unit": "months"}, "amount"),
        ({"trigger": "detected", "amount": 1, "unit": "fortnights"}, "unit"),
        ({"trigger": "detected", "amount": 1, "unit": "days", "timezone": "Mars/Olympus"}, "timezone"),
        ({"trigger": "detected", "amount": 1, "unit": "days", "timezone": "../../etc/passwd"}, "timezone"),
        ({"trigger": "detected", "amount": 1, "unit": "days", "cutoff": "teatime"}, "cutoff"),
        ({"trigger": "detected", "amount": 1, "unit": "days", "calendar": "moon"}, "calendar"),
        ({"trigger": "detected", "amount": 1, "unit": "days", "colour": "red"}, "colour"),
    ],
)
def test_a_clock_that_cannot_run_is_refused_with_the_reason(data: object, message: str) -> None:
    with pytest.raises(BadClock, match=message):
        Clock.of(data)


def test_the_end_of_time_is_an_error_and_not_a_crash() -> None:
    with pytest.raises(OutOfRange):
        runs_out(Clock("detected", 1, "months"), datetime(9999, 12, 20, tzinfo=UTC))
