"""Formats are asserted: what a schema accepts as a moment or a date can be reckoned with and stored."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from workflows.core import formats
from workflows.core.attributes import _time_is_good
from workflows.core.schema import Schema
from workflows.library.vocabulary import Moment

MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


def accepts(format: str, value: Any) -> bool:
    return Schema.compile({"format": format}).accepts(value)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-23T06:40:00Z", datetime(2026, 11, 23, 6, 40, tzinfo=UTC)),
        ("2026-11-23t06:40:00.25z", datetime(2026, 11, 23, 6, 40, 0, 250_000, tzinfo=UTC)),
        ("2026-11-23T06:40:00.123456789Z", datetime(2026, 11, 23, 6, 40, 0, 123_456, tzinfo=UTC)),
        ("2026-11-23T06:40:00-05:30", datetime(2026, 11, 23, 12, 10, tzinfo=UTC)),
        # Leap seconds: at the end of a month in UTC, whatever the offset. They are read as the second before.
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("1990-12-31T15:59:60-08:00", datetime(1990, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_moment_of_rfc_3339_is_read_in_utc(text: str, at: datetime) -> None:
    assert formats.moment(text) == at
    assert accepts("date-time", text)
    assert MOMENT.validate_python(text) == at
    assert _time_is_good(text)


@pytest.mark.parametrize(
    "text",
    [
        "garbageZ", "", "2026-02-30T00:00:00Z", "2026-11-23T06:40:00", "2026-11-23", "2026-11-23 06:40:00Z",
        "2026-11-23T06:40Z", "2026-11-23T24:00:00Z", "2026-11-23T06:40:61Z", "2026-11-23T06:40:00+24:00",
        "2026-11-23T06:40:00+01:60", "2026-11-23T06:40:00,5Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+10:00",
        "9999-12-31T23:59:59-00:01", "2016-12-31T22:59:60Z", "2016-12-30T23:59:60Z", "\uff12026-11-23T06:40:00Z",
        "2026-11-23T06:40:00Z\n", "20261123T064000Z", "2026-W48-1T06:40:00Z",
    ],
)  # fmt: skip
def test_what_is_no_moment_is_refused_at_every_door(text: str) -> None:
    assert not accepts("date-time", text)
    assert not _time_is_good(text)
    with pytest.raises(ValidationError):
        MOMENT.validate_python(text)


@given(
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),
    st.integers(-14 * 60, 14 * 60),
)
def test_every_moment_that_python_writes_is_read_again(at: datetime, offset: int) -> None:
    there = at.replace(tzinfo=timezone(timedelta(minutes=offset)))
    assert formats.moment(there.isoformat()) == there


ALMOST = r"\d{4}-[01]\d-[0-3]\d[Tt ][0-2]\d:[0-6]\d:[0-6]\d(\.\d+)?([Zz]|[+-][0-2]\d:[0-6]\d)?"


@given(st.text(max_size=40) | st.from_regex(ALMOST, fullmatch=True))
def test_what_the_door_accepts_the_steps_can_read(text: str) -> None:
    if accepts("date-time", text):
        at = MOMENT.validate_python(text)
        assert at.astimezone(UTC).year >= 1
    else:
        with pytest.raises(ValidationError):
            MOMENT.validate_python(text)


def test_dates_exist() -> None:
    assert formats.day("2028-02-29") == date(2028, 2, 29)
    for text in ("2026-02-30", "2026-2-3", "0000-01-01", "20260203", "2026-W01-1", "tomorrow", "\uff12026-01-01"):
        assert not accepts("date", text), text


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("time", "06:40:00Z", "25:00:00Z"),
        ("duration", "P1DT2H", "1d"),
        ("email", "a@example.org", "a@@example"),
        ("idn-email", "ä@example.org", "ä"),
        ("hostname", "a.example", "-a.example"),
        ("ipv4", "192.0.2.1", "192.0.2.300"),
        ("ipv6", "2001:db8::1", "2001:db8::1::2"),
        ("uri", "https://example.org/a?b=c", "example"),
        ("uri-reference", "a/b", "a b"),
        ("iri", "https://straße.de/", "straße"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
        ("regex", "a+", "("),
        ("json-pointer", "/a/0", "a"),
        ("uri-template", "/{a}", "/{a"),
    ],
)
def test_the_other_formats_are_asserted_too(format: str, good: str, bad: str) -> None:
    assert accepts(format, good)
    assert not accepts(format, bad)
    # A format says something of texts only, and one that is not known says nothing.
    assert accepts(format, 5)
    assert accepts("nickname", bad)


def test_a_fault_names_its_path_and_its_format() -> None:
    schema = Schema.compile({"properties": {"at": {"type": "string", "format": "date-time"}}})
    [fault] = schema.faults({"at": "2026-02-30T00:00:00Z"}, at="input")
    assert str(fault.path) == "input.at"
    assert "date-time" in fault.message
