"""A profile as values. `read` is the only way to one: nothing that is not checked is ever sent."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from erip.foundation.faults import Fault, first
from workflows.core.schema import Schema, place
from workflows.core.source import SourceInvalid
from workflows.core.source import read as read_source

from .checking import check
from .filling import Drawn, texts
from .format import DOCUMENT, MARKER
from .pace import Phase


class BadProfile(ValueError):
    """The profile cannot be used; `faults` has everything that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Thresholds:
    """At most; milliseconds, and percent of errors. None: no threshold."""

    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    errors: float | None = None


@dataclass(frozen=True, slots=True)
class Poll:
    """Ask again `every` seconds until a field of the answer has one of the values `until`: that is right. After
    `within` seconds, or with one of `wrong`, it counts as an error."""

    every: float
    within: float
    field: str
    until: tuple[Any, ...]
    wrong: tuple[Any, ...]
    thresholds: Thresholds


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. Path, headers and body may have placeholders."""

    name: str
    method: str
    path: str
    headers: Mapping[str, str]
    #: whether there is a body, and which
    has_body: bool
    body: Any
    #: statuses that are right; empty: each of 200 to 299
    expect: frozenset[int]
    #: seconds from the moment when it is due
    timeout: float
    keep: Mapping[str, str]
    thresholds: Thresholds
    #: seconds after the answer before it; of what follows alone
    after: float = 0.0
    poll: Poll | None = None

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "application/json")

    def right(self, status: int) -> bool:
        return status in self.expect if self.expect else 200 <= status < 300


@dataclass(frozen=True, slots=True)
class Begun:
    """A session: its first request at this rate (a second, at factor 1), and what follows it."""

    first: Asked
    rate: float
    then: tuple[Asked, ...]


@dataclass(frozen=True)
class Profile:
    host: str | None
    writes: bool
    seed: int
    random: bool
    in_flight: int
    phases: tuple[Phase, ...]
    values: Mapping[str, Drawn]
    before: tuple[Asked, ...]
    begun: tuple[Begun, ...]
    thresholds: Thresholds = field(default_factory=Thresholds)

    @property
    def rate(self) -> float:
        """Sessions a second at factor 1."""
        return sum(one.rate for one in self.begun)

    @property
    def seconds(self) -> float:
        return sum(phase.seconds for phase in self.phases)


def read(text: str | bytes) -> Profile:
    """Raises BadProfile with every fault."""
    try:
        document = read_source(text, "yaml", kind="a profile", keys="format, phases and requests")
    except SourceInvalid as error:
        raise BadProfile([*error.faults, Fault("", "nothing else was checked: these faults come first")]) from error
    markers = {location: text for location, text in texts(document) if text.startswith(MARKER)}
    schema = _schema()
    open_places = {place("", location) for location in markers}
    faults = [
        fault
        for fault in schema.faults(document, at="")
        # What is missing there is said better by the marker.
        if fault.path not in open_places
    ]
    broken = {one.location for one in schema.violations(document, limit=sys.maxsize)}
    faults += first(Fault(place("", where), f"is to be filled in: {text[:200]}") for where, text in markers.items())
    faults += first(check(document, broken, set(markers)))
    if faults:
        raise BadProfile(sorted(set(faults)))
    return _made(document)


@cache
def _schema() -> Schema:
    return Schema.compile(DOCUMENT)


def _made(document: dict[str, Any]) -> Profile:
    shares = sum(one.get("share", 0) for one in document["requests"])
    each = document["rate"] / shares if shares else 0.0
    return Profile(
        host=document.get("host"),
        writes=document.get("writes", False),
        seed=document.get("seed", 1),
        random=document.get("arrivals", "random") == "random",
        in_flight=document.get("in_flight", 500),
        phases=tuple(
            Phase(
                one.get("name", f"phase-{number}"),
                one["seconds"],
                float(one["from"] if "from" in one else one.get("factor", 1)),
                float(one["to"] if "to" in one else one.get("factor", 1)),
            )
            for number, one in enumerate(document["phases"], start=1)
        ),
        values={name: _drawn(one) for name, one in document.get("values", {}).items()},
        before=tuple(map(_asked, document.get("before", []))),
        begun=tuple(
            Begun(_asked(one), one["rate"] if "rate" in one else one["share"] * each, _then(one))
            for one in document["requests"]
        ),
        # Answers that are wrong are quick: without a threshold for them, a service that refuses all would pass.
        thresholds=_thresholds({"errors": 1.0, **document.get("thresholds", {})}),
    )


def _then(one: dict[str, Any]) -> tuple[Asked, ...]:
    return tuple(map(_asked, one.get("then", [])))


def _asked(one: dict[str, Any]) -> Asked:
    poll = one.get("poll")
    return Asked(
        name=one["name"],
        method=one["method"],
        path=one["path"],
        headers=one.get("headers", {}),
        has_body="body" in one,
        body=one.get("body"),
        expect=frozenset(one.get("expect", ())),
        timeout=float(one.get("timeout", 30)),
        keep=one.get("keep", {}),
        thresholds=_thresholds(one.get("thresholds", {})),
        after=float(one.get("after", 0)),
        poll=None
        if poll is None
        else Poll(
            every=float(poll["every"]),
            within=float(poll["within"]),
            field=poll["field"],
            until=tuple(poll["until"]),
            wrong=tuple(poll.get("wrong", ())),
            thresholds=_thresholds(poll.get("thresholds", {})),
        ),
    )


def _thresholds(one: dict[str, Any]) -> Thresholds:
    return Thresholds(**one)


def _drawn(one: dict[str, Any]) -> Drawn:
    return Drawn(
        one_of=tuple(one.get("one_of", ())),
        weights=tuple(one.get("weights", ())),
        low=one.get("from", 0),
        high=one.get("to", 0),
        decimals=one.get("decimals", 0),
        unique=one.get("unique"),
    )
