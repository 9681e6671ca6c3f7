"""The on-call plan of a site: people and their channels, rotations of people, and ladders that call them.

people:
  ana: [ana-phone, ana-mail]
rotations:
  primary: {zone: Europe/Berlin, starts: 2026-01-05, at: ["09:00"], days: 7, people: [ana, ben]}
ladders:
  default:
    rungs:
      - {to: [on-call/primary], wait: 5m}
      - {to: [next/primary], wait: 10m}
      - {to: [everyone/primary, channel/ops], wait: 15m}
    repeat: 1
"""

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from erip.foundation.faults import Fault, first, join
from monitoring.core.rules import NAME
from workflows.core.durations import NotADuration, parse_duration

#: the ladder of pages whose rule names none
DEFAULT = "default"
#: seconds between two rungs: a tick at least
LEAST_WAIT, MOST_WAIT = 10.0, 7 * 86_400.0
_TO = re.compile(rf"(on-call|next|everyone|channel)/({NAME})")
#: years that the first day of a rotation may have
_YEARS = range(2000, 2100)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - {"localtime"}


def _zone(name: str) -> str:
    if name not in _zones():
        raise ValueError("is no time zone; one is Europe/Berlin")
    return name


def _day(text: str) -> str:
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise ValueError("is no day; write 2026-01-05") from error
    if len(text) != 10 or found.year not in _YEARS:
        raise ValueError("must be a day of the years 2000 to 2099, as 2026-01-05")
    return text


def _wait(text: str) -> str:
    try:
        found = parse_duration(text)
    except NotADuration as error:
        raise ValueError("write a duration such as 5m or 1h") from error
    if not LEAST_WAIT <= found <= MOST_WAIT:
        raise ValueError("must be at least 10s and at most 7d")
    return text


def _to(text: str) -> str:
    if not _TO.fullmatch(text):
        raise ValueError("must be on-call/ROTATION, next/ROTATION, everyone/ROTATION or channel/CHANNEL")
    return text


Name = Annotated[str, Field(pattern=rf"^{NAME}$")]
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Rotation(_Part):
    """People who are on call in turn. Hand-overs are at the times `at` of the clock on the wall of `zone`, every `days`
    days from the day `starts`."""

    zone: Annotated[str, Field(max_length=60), AfterValidator(_zone)]
    starts: Annotated[str, AfterValidator(_day)]
    at: Annotated[list[Clock], Field(min_length=1, max_length=6)]
    days: Annotated[int, Field(ge=1, le=366)]
    people: Annotated[list[Name], Field(min_length=1, max_length=50)]

    @property
    def first_day(self) -> date:
        return date.fromisoformat(self.starts)

    @property
    def times(self) -> list[time]:
        return sorted(time.fromisoformat(one) for one in self.at)


class Rung(_Part):
    """Who is called, and how long is waited then for somebody to take it on."""

    to: Annotated[list[Annotated[str, AfterValidator(_to)]], Field(min_length=1, max_length=10)]
    wait: Annotated[str, Field(max_length=40), AfterValidator(_wait)]

    @property
    def seconds(self) -> float:
        return parse_duration(self.wait)


class Ladder(_Part):
    """repeat: how often it begins again after its last rung."""

    rungs: Annotated[list[Rung], Field(min_length=1, max_length=10)]
    repeat: Annotated[int, Field(ge=0, le=10)] = 0

    @property
    def calls(self) -> int:
        return len(self.rungs) * (self.repeat + 1)

    def rung(self, number: int) -> Rung:
        """The rung of the call with this number, from 0."""
        return self.rungs[number % len(self.rungs)]


class Plan(_Part):
    """What a site decided."""

    people: Annotated[dict[Name, Annotated[list[Name], Field(min_length=1, max_length=5)]], Field(max_length=500)] = (
        Field(default_factory=dict)
    )
    rotations: Annotated[dict[Name, Rotation], Field(max_length=100)] = Field(default_factory=dict)
    ladders: Annotated[dict[Name, Ladder], Field(max_length=100)] = Field(default_factory=dict)

    def channels(self) -> set[str]:
        """All channels that it names."""
        return {one for each in self.people.values() for one in each} | {
            to.partition("/")[2]
            for ladder in self.ladders.values()
            for rung in ladder.rungs
            for to in rung.to
            if to.startswith("channel/")
        }


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody is on call in place of whose turn it is. A later one (of a higher id) counts before an earlier one."""

    id: int
    rotation: str
    person: str
    starts: datetime
    ends: datetime


class BadPlan(ValueError):
    """The plan cannot be used. faults: everything that is wrong, each with its path."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = sorted(first(faults))
        super().__init__("; ".join(map(str, self.faults)))


def read_plan(document: Any, channels: Set[str] | None = None) -> Plan:
    """Raises BadPlan with every fault. document: what JSON or YAML gave; channels: those that there are; None: those
    that it names are not looked up."""
    faults = list(_lost(document, channels))
    try:
        plan = Plan.model_validate(document)
    except ValidationError as error:
        found = [_fault(one) for one in error.errors(include_url=False, include_input=False)]
        raise BadPlan([*found, *faults]) from error
    for name, rotation in plan.rotations.items():
        if len(set(rotation.at)) != len(rotation.at):
            faults.append(Fault(f"rotations.{name}.at", "names a time twice"))
        if len(rotation.at) > 1 and rotation.days != 1:
            faults.append(Fault(f"rotations.{name}.days", "must be 1 where a day has several hand-overs"))
    if faults:
        raise BadPlan(faults)
    return plan


def _lost(document: Any, channels: Set[str] | None) -> Iterator[Fault]:
    """Names that lead nowhere. They are looked for in the document as it came, so that they are found beside others."""
    people, rotations, ladders = (_part(document, name) for name in ("people", "rotations", "ladders"))
    for name, own in people.items():
        for number, channel in enumerate(_listed(own)):
            if channels is not None and isinstance(channel, str) and channel not in channels:
                yield Fault(f"people.{str(name)[:80]}[{number}]", "there is no such channel")
    for name, rotation in rotations.items():
        for number, person in enumerate(_listed(rotation.get("people")) if isinstance(rotation, Mapping) else []):
            if isinstance(person, str) and person not in people:
                yield Fault(f"rotations.{str(name)[:80]}.people[{number}]", "is not among `people`")
    for name, ladder in ladders.items():
        for number, rung in enumerate(_listed(ladder.get("rungs")) if isinstance(ladder, Mapping) else []):
            for place, to in enumerate(_listed(rung.get("to")) if isinstance(rung, Mapping) else []):
                path = f"ladders.{str(name)[:80]}.rungs[{number}].to[{place}]"
                kind, _, what = to.partition("/") if isinstance(to, str) else ("", "", "")
                if kind in ("on-call", "next", "everyone") and what not in rotations:
                    yield Fault(path, "there is no such rotation")
                if kind == "channel" and channels is not None and what not in channels:
                    yield Fault(path, "there is no such channel")


def _part(document: Any, name: str) -> Mapping[str, Any]:
    found = document.get(name) if isinstance(document, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _listed(value: Any) -> list[Any]:
    return value[:500] if isinstance(value, list) else []


def _fault(error: Any) -> Fault:
    path = ""
    for part in error["loc"]:
        # pydantic names the place of a key that is refused so.
        path = path if part == "[key]" else join(path, part)
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = "is not known here"
    return Fault(path, message)
