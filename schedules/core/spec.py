"""What a schedule says: read from a JSON document, with every fault at once."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError

from erip.foundation.faults import Fault
from workflows.core.calendars import MAX_NAME, calendar_of
from workflows.core.durations import PATTERN as DURATION
from workflows.core.durations import parse_duration
from workflows.core.format import LANES
from workflows.core.formats import moment
from workflows.core.schema import Schema
from workflows.core.structure import did_you_mean, fault_of

#: seconds: bounds of an interval, of jitter, and of how late a missed start may be
EVERY, MOST_JITTER, MOST_LATE = (10.0, 366 * 86_400.0), 24 * 3_600.0, 31 * 86_400.0
DEFAULT_LATE = "1d"

_DURATION = {"type": "string", "pattern": DURATION, "minLength": 2, "maxLength": 40, "title": "a duration such as 6h"}
_MOMENT = {"type": "string", "format": "date-time", "title": "a moment with its zone, such as 2026-11-30T12:00:00Z"}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "a schedule: an object",
    "additionalProperties": False,
    "required": ["workflow", "catch_up", "overlap"],
    "oneOf": [{"required": ["cron"]}, {"required": ["every"]}, {"required": ["at"]}],
    "properties": {
        "workflow": {
            "type": "string",
            "minLength": 1,
            "maxLength": 63,
            "title": "the name of a workflow",
            "description": "The workflow whose latest version is started.",
        },
        "input": {"type": "object", "title": "an object", "description": "Each run's input."},
        "business_key": {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "title": "1 to 200 characters",
            "description": "Each run's business key.",
        },
        "lane": {"enum": list(LANES), "title": "a lane", "description": "Default: the definition's."},
        "cron": {
            "type": "string",
            "minLength": 9,
            "maxLength": 200,
            "title": "a cron expression of five fields",
            "description": "Minute, hour, day of month, month, day of week in `timezone`, as in Debian's cron.",
        },
        "timezone": {
            "type": "string",
            "maxLength": 64,
            "title": "the name of a time zone",
            "description": "Of the IANA database, such as Europe/Berlin. Required with `cron`.",
        },
        "every": {
            **_DURATION,
            "description": "An interval, counted from `from` by real time.",
        },
        "from": {**_MOMENT, "description": "The first start of an interval. Default: when the schedule was stored."},
        "at": {**_MOMENT, "description": "One single start."},
        "calendar": {
            "type": "string",
            "minLength": 2,
            "maxLength": MAX_NAME,
            "title": "a country, or a part of one",
            "description": "Whose public holidays and weekends count: DE, DE-BE, US-NY.",
        },
        "on_holiday": {
            "enum": ["next", "skip"],
            "title": "next or skip",
            "description": "A start on a closed day moves to the next business day at the same time, or is left out.",
        },
        "catch_up": {
            "enum": ["none", "latest", "all"],
            "title": "none, latest or all",
            "description": "What becomes of starts that were missed: the platform was away, or the schedule paused.",
        },
        "catch_up_within": {**_DURATION, "description": "How late a missed start may be. Default: 1d; at most 31d."},
        "overlap": {
            "enum": ["allow", "skip", "wait"],
            "title": "allow, skip or wait",
            "description": "What becomes of a start while the run before it goes on: it starts, is left out, or waits.",
        },
        "jitter": {**_DURATION, "description": "Each start is up to this much later, always by the same amount."},
        "pause_on_failure": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
            "title": "a number from 1 to 100",
            "description": "After so many failed runs in a row the schedule is paused.",
        },
    },
}
_COMPILED = Schema.compile(SCHEMA)


@dataclass(frozen=True, slots=True)
class Spec:
    """A schedule that can be used. Durations in seconds."""

    workflow: str
    catch_up: str
    overlap: str
    input: dict[str, Any]
    business_key: str | None = None
    lane: str | None = None
    cron: str | None = None
    timezone: str = "UTC"
    every: float | None = None
    #: the first start of an interval
    anchor: datetime | None = None
    at: datetime | None = None
    calendar: str | None = None
    on_holiday: str | None = None
    catch_up_within: float = 86_400.0
    jitter: float = 0.0
    pause_on_failure: int | None = None

    @property
    def when(self) -> tuple[Any, ...]:
        """What its moments depend on."""
        return (self.cron, self.timezone, self.every, self.anchor, self.at, self.calendar, self.on_holiday, self.jitter)


def read(document: Any, *, stored_at: datetime) -> tuple[Spec | None, list[Fault]]:
    """(the schedule or None, every fault of the document with its path).

    stored_at: when it was stored, with its zone: an interval without `from` begins there.
    """
    faults = [fault_of(violation, SCHEMA) for violation in _COMPILED.violations(document)]
    if not isinstance(document, dict):
        return None, faults
    # The schema says of these only that one of them is needed.
    given = [key for key in ("cron", "every", "at") if key in document]
    faults = [fault for fault in faults if fault.path]
    if len(given) != 1:
        having = f"has {' and '.join(given)}" if given else "has none of them"
        faults.append(Fault("", f"give exactly one of cron, every and at: it {having}"))
    faulty = {fault.path for fault in faults}

    def sound(key: str) -> Any:
        return document.get(key) if key not in faulty else None

    faults += _strays(document)
    faults += _zone(sound("timezone"), needed="cron" in document and "timezone" not in document)
    faults += _cron(sound("cron"))
    faults += _calendar(document, sound("calendar"))
    every, wrong = _seconds("every", sound("every"), *EVERY)
    faults += wrong
    jitter, wrong = _seconds("jitter", sound("jitter"), 0.0, MOST_JITTER)
    faults += wrong
    late, wrong = _seconds("catch_up_within", sound("catch_up_within") or DEFAULT_LATE, 0.0, MOST_LATE)
    faults += wrong
    if faults:
        return None, sorted(faults, key=lambda fault: fault.path)
    return (
        Spec(
            workflow=document["workflow"],
            catch_up=document["catch_up"],
            overlap=document["overlap"],
            input=document.get("input", {}),
            business_key=document.get("business_key"),
            lane=document.get("lane"),
            cron=document.get("cron"),
            timezone=document.get("timezone", "UTC"),
            every=every,
            anchor=(moment(document["from"]) if "from" in document else stored_at) if every else None,
            at=moment(document["at"]) if "at" in document else None,
            calendar=document.get("calendar"),
            on_holiday=document.get("on_holiday"),
            catch_up_within=late or 0.0,
            jitter=jitter or 0.0,
            pause_on_failure=document.get("pause_on_failure"),
        ),
        [],
    )


def _strays(document: dict[str, Any]) -> list[Fault]:
    """Keys that mean nothing beside the others."""
    goes_with = {"timezone": "cron", "from": "every", "on_holiday": "cron", "calendar": "cron"}
    found = [
        Fault(key, f"goes with {other}, which is not there")
        for key, other in goes_with.items()
        if key in document and other not in document
    ]
    if document.get("catch_up") == "none" and "catch_up_within" in document:
        found.append(Fault("catch_up_within", "means nothing with catch_up: none"))
    return found


@cache
def _zones() -> frozenset[str]:
    # Python reads its whole directory of time zones each time it is asked, and schedules are read at each start.
    # `localtime` is a file of some machines, and another zone on each.
    return frozenset(available_timezones()) - {"localtime"}


def _zone(name: Any, *, needed: bool) -> list[Fault]:
    if needed:
        return [Fault("timezone", "is required with cron: say whose clock is meant, such as Europe/Berlin or UTC")]
    if isinstance(name, str) and name not in _zones():
        return [Fault("timezone", f'there is no time zone "{name}"{did_you_mean(name, _zones())}')]
    return []


def _cron(text: Any) -> list[Fault]:
    if not isinstance(text, str):
        return []
    if len(text.split()) != 5:
        return [Fault("cron", "has not five fields: minute, hour, day of month, month, day of week")]
    try:
        next(CronSim(text, datetime(2000, 1, 1)), None)  # noqa: DTZ001  (only whether there is a moment at all)
    except CronSimError as error:
        return [Fault("cron", f"is no cron expression: {error}")]
    return []


def _calendar(document: dict[str, Any], name: Any) -> list[Fault]:
    found = []
    for key, other in (("calendar", "on_holiday"), ("on_holiday", "calendar")):
        if key in document and other not in document:
            found.append(Fault(other, f"is required with {key}"))
    if isinstance(name, str):
        try:
            calendar_of(name)
        except ValueError as error:
            found.append(Fault("calendar", str(error)))
    return found


def _seconds(key: str, value: Any, least: float, most: float) -> tuple[float | None, list[Fault]]:
    if not isinstance(value, str):
        return None, []
    seconds = parse_duration(value)
    if not least <= seconds <= most:
        return None, [Fault(key, f"must be from {_said(least)} to {_said(most)}")]
    return seconds, []


def _said(seconds: float) -> str:
    return f"{seconds / 86_400:g}d" if seconds >= 86_400 else f"{seconds:g}s"
