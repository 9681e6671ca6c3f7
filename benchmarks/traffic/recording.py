"""A profile from what was seen.

Only methods, operations and rates get into it.

Note [Nothing of a person]. A path is looked up among the operations of the API, and forgotten; what is counted is the
operation. The profile is made of the operations' own names and templates. Values are asked of the deployment that is
tested, when the test begins.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import yaml

from ..workloads import BREACH, COMPLIANCE, THREAT, TRUST, VULNERABILITY
from .addresses import Address, Addresses
from .format import FORMAT, MARKER, READS

#: minutes in a row that a profile is made of
MOST_MINUTES: Final = 1_440
#: what a profile may have (`format`)
MOST_PHASES: Final = 100
#: counts by operation and minute that are held while logs are read, at some 100 bytes each
MOST_HELD: Final = 1_000_000
#: requests of a profile that are kept, by their share
_MOST: Final = 100
#: what changes something and is recorded if writing was asked for. Everything else that does (keys, flags, erasures,
#: grants) is named only: nobody should mint keys on staging because somebody did in production.
WRITES: Final = frozenset(
    {
        *("startRun", "signalRun", "signalWorkflow", "acceptEvents"),
        *(
            "evaluateDecisionTable",
            "validateDecisionTable",
            "validateWorkflow",
            "whatIfDecisionTable",
            "whatIfWorkflow",
        ),
    }
)
#: operations whose answers have ids of new runs
_STARTS: Final = "startRun"
_EXAMPLES: Final = {one.workflow: one.input for one in (BREACH, COMPLIANCE, THREAT, TRUST, VULNERABILITY)}

#: minute → requests
Counts = dict[int, float]
#: requests in a minute, and how many of its seconds are known
Span = tuple[float, float]
#: an operation, and whether its caller waited for the outcome (Prefer: wait)
Asked = tuple[Address, bool]


@dataclass
class Seen:
    """Requests by operation and minute."""

    addresses: Addresses
    counts: dict[Asked, Counts] = field(default_factory=dict)
    #: why requests are not in the profile → how many
    left_out: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    #: minute → its seconds of which something is known, were it that nothing was asked
    known: Counts = field(default_factory=dict)
    _held: int = 0

    def add(self, minute: int, method: str, path: str, status: int, *, count: float = 1, waits: bool = False) -> None:
        """status: 0 if it had none."""
        if (address := self.addresses.find("GET" if method == "HEAD" else method, path)) is None:
            self.left_out["requests were none of the API's: pages, files, health, unknown addresses"] += count
        elif address.stream:
            self.left_out["streams were opened"] += count
        elif 400 <= status < 500:
            self.left_out["requests were refused (4xx)"] += count
        else:
            self._count((address, waits), minute, count)

    def _count(self, asked: Asked, minute: int, count: float) -> None:
        if minute not in self.counts.get(asked, ()):
            if self._held >= MOST_HELD:
                self.left_out["requests were of more minutes than are held at once: record fewer days"] += count
                return
            self._held += 1
        minutes = self.counts.setdefault(asked, {})
        minutes[minute] = minutes.get(minute, 0.0) + count

    def know(self, minute: int, seconds: float = 60) -> None:
        """So many seconds more of this minute are known, even if nothing was asked in them."""
        if minute in self.known or len(self.known) < MOST_HELD:
            self.known[minute] = min(60.0, self.known.get(minute, 0.0) + seconds)

    def choose(self) -> None:
        """Keep the MOST_MINUTES in a row with the most requests, the first of equals, and name those that are dropped.

        When all is known: files are given in any order, and a line may come before those that are older."""
        if not self.known or max(self.known) - min(self.known) < MOST_MINUTES:
            return
        totals: Counts = dict.fromkeys(sorted(self.known), 0.0)
        for counts in self.counts.values():
            for minute, count in counts.items():
                totals[minute] += count
        begin = _busiest(totals)
        end = begin + MOST_MINUTES
        for asked, counts in list(self.counts.items()):
            self.counts[asked] = {minute: count for minute, count in counts.items() if begin <= minute < end}
            if not self.counts[asked]:
                del self.counts[asked]
        for dropped in ([one for one in totals if one < begin], [one for one in totals if one >= end]):
            if dropped:
                span = f"{_moment(dropped[0])} to {_moment(dropped[-1] + 1)}"
                why = f"requests were of {span}, outside of the busiest {MOST_MINUTES:,} minutes"
                self.left_out[why] += sum(totals[one] for one in dropped)
        self.known = {minute: seconds for minute, seconds in self.known.items() if begin <= minute < end}

    def fill(self) -> None:
        """Of a log: each minute with a request is known, and one between two others had none."""
        for counts in self.counts.values():
            for minute in counts:
                self.know(minute)
        self.choose()
        if self.known:
            self.known.update(dict.fromkeys(range(min(self.known), max(self.known)), 60.0))


def _moment(minute: int) -> str:
    """Raises OverflowError for what no calendar has."""
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minute):%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the profile is for. minutes: how long it lasts; None: as long as what was seen. starts: workflows."""

    host: str | None = None
    writes: bool = False
    starts: tuple[str, ...] = ()
    minutes: float | None = None
    #: of the rate that was seen
    scale: float = 1.0


class NothingSeen(ValueError):
    """There is no request that a profile could have."""


def profile_of(seen: Seen, wanted: Wanted) -> tuple[dict[str, Any], list[str]]:
    """The profile, and what is not in it, a line each. Raises NothingSeen."""
    notes = defaultdict(float, seen.left_out)
    kept = dict(seen.counts)
    for address, waits in list(kept):
        if address.method in READS:
            continue
        if not wanted.writes:
            why = "requests may have changed something: --writes"
        elif address.name not in WRITES:
            why = f"requests changed what is not recorded, add them by hand: {address.name}"
        else:
            continue
        notes[why] += _total(kept.pop((address, waits)))
    order = sorted(kept, key=lambda one: (-_total(kept[one]), one[0].name))
    for one in order[_MOST:]:
        notes[f"requests were of operations rarer than the first {_MOST}"] += _total(kept.pop(one))
    if not kept:
        raise NothingSeen("There is no request that a profile could have.", sorted(notes))
    spans = _spans(kept.values(), seen.known)
    made = _Made(seen.addresses, wanted)
    whole = sum(map(_total, kept.values()))
    for one in order[:_MOST]:
        made.add(one, round(100 * _total(kept[one]) / whole, 4) or 0.0001)
    document: dict[str, Any] = {"format": FORMAT}
    if wanted.host:
        document["host"] = wanted.host
    if wanted.writes:
        document["writes"] = True
    mean = sum(count for count, _ in spans) / sum(seconds for _, seconds in spans)
    document |= {
        "seed": 1,
        "rate": _digits(mean * wanted.scale),
        "phases": _phases(spans, mean, wanted.minutes),
        **({"values": made.values} if made.values else {}),
        **({"before": list(made.before.values())} if made.before else {}),
        "requests": made.requests,
        "thresholds": {"errors": 1},
    }
    return document, [f"{count:,.0f} {why}" for why, count in sorted(notes.items()) if count]


def _busiest(totals: Counts) -> int:
    """Where the MOST_MINUTES with the most requests begin. totals: ascending."""
    order = list(totals)
    begin, most, inside, left = order[0], -1.0, 0.0, 0
    for minute in order:
        inside += totals[minute]
        while minute - order[left] >= MOST_MINUTES:
            inside -= totals[order[left]]
            left += 1
        if inside > most:
            begin, most = order[left], inside
    return begin


def _total(counts: Counts) -> float:
    return sum(counts.values())


def _spans(counts: Iterable[Counts], known: Counts) -> list[Span]:
    """The minutes of which something is known, in order."""
    whole: Counts = dict.fromkeys(sorted(known), 0.0)
    for one in counts:
        for minute, count in one.items():
            whole[minute] += count
    return [(count, known[minute]) for minute, count in whole.items()]


def _phases(spans: Sequence[Span], mean: float, minutes: float | None) -> list[dict[str, Any]]:
    """A phase for each minute, if these are at most MOST_PHASES. Otherwise as many minutes in each, but for the highest
    minute, which is one of its own: a mean would hide the peak that a load test is for. mean: requests a second."""
    if len(spans) <= MOST_PHASES:
        groups = [[one] for one in spans]
        peak = None
    else:
        highest = max(range(len(spans)), key=lambda place: spans[place][0] / spans[place][1])
        before, after = spans[:highest], spans[highest + 1 :]
        # Both sides may end with a phase that is not full.
        each = -(-len(spans) // (MOST_PHASES - 3))
        groups = [*_grouped(before, each), peak := [spans[highest]], *_grouped(after, each)]
    stretch = 1.0 if minutes is None else minutes * 60 / sum(seconds for _, seconds in spans)
    phases = []
    for group in groups:
        seconds = sum(seconds for _, seconds in group)
        phases.append(
            {
                **({"name": "peak"} if group is peak else {}),
                "seconds": _digits(seconds * stretch),
                "factor": _digits(sum(count for count, _ in group) / seconds / mean),
            }
        )
    return phases


def _grouped(spans: Sequence[Span], each: int) -> list[list[Span]]:
    return [list(spans[start : start + each]) for start in range(0, len(spans), each)]


class _Made:
    """The requests of a profile, and where their values come from."""

    def __init__(self, addresses: Addresses, wanted: Wanted) -> None:
        self._addresses, self._wanted = addresses, wanted
        self.requests: list[dict[str, Any]] = []
        self.values: dict[str, Any] = {}
        self.before: dict[str, dict[str, Any]] = {}

    def add(self, one: Asked, share: float) -> None:
        address, waits = one
        name = f"{address.name}-waits" if waits else address.name
        starts = self._wanted.starts if address.name == _STARTS else ()
        for workflow in starts:
            path = address.template.replace("{name}", workflow)
            self._request(one, f"{name}-{workflow}", share / len(starts), path, {"input": _example(workflow)})
        if not starts:
            self._request(one, name, share, self._path(address), f"{MARKER}: the body of {address.name}")

    def _request(self, one: Asked, name: str, share: float, path: str, body: Any) -> None:
        address, waits = one
        request: dict[str, Any] = {"name": name[:63], "share": _digits(share), "method": address.method, "path": path}
        headers = {"Prefer": "wait=10"} if waits else {}
        if address.content_type not in ("", "application/json"):
            headers["Content-Type"] = address.content_type
        if headers:
            request["headers"] = headers
        if address.body or (address.method not in READS and address.name in WRITES):
            request["body"] = body
        if address.name == _STARTS:
            request["keep"] = {"runs_id": "id"}
        self.requests.append(request)

    def _path(self, address: Address) -> str:
        parts = []
        for part in address.template.split("/"):
            parts.append(f"${{{self._value(address.template, part[1:-1])}}}" if part.startswith("{") else part)
        query = "&".join(f"{one}=${{{self._value(address.template, one)}}}" for one in address.required)
        return "/".join(parts) + (f"?{query}" if query else "")

    def _value(self, template: str, parameter: str) -> str:
        """The name of a value for a parameter of a path."""
        before = [part for part in template.partition(f"/{{{parameter}}}")[0].split("/") if part[:1] not in ("", "{")]
        name = _name(f"{before[-1]}_{parameter}")
        found = self._addresses.lister(template, parameter)
        if found is None:
            return self._unknown(name)
        path, place = found
        lister = self._addresses.find("GET", path)
        assert lister is not None
        asked = self.before.setdefault(
            path, {"name": f"before-{lister.name}", "method": "GET", "path": path, "keep": {}}
        )
        asked["keep"][name] = place
        return name

    def _unknown(self, name: str) -> str:
        name = _name(name)
        self.values[name] = f"{MARKER}: values of {name}, as {{one_of: [...]}}"
        return name


def _example(workflow: str) -> Any:
    known = _EXAMPLES.get(workflow)
    return f"{MARKER}: the input of {workflow}" if known is None else known(0)


def _name(text: str) -> str:
    """A name of a value: `workflows_name`, `query_metric_metric`."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower()).strip("_")[:63]


def _digits(value: float) -> float:
    """Four that say something; a whole number as one."""
    short = float(f"{value:.4g}")
    return int(short) if short.is_integer() else short


def as_yaml(document: dict[str, Any], source: str, left_out: Sequence[str]) -> str:
    """The text of a profile, with what it lacks in its head."""
    head = [f"Recorded from {source}. Replace each {MARKER}, and set the thresholds: docs/how-to/load-test.md."]
    head += ["It has the rates of routes, and not:"] if left_out else []
    head += [f"- {line}" for line in left_out]
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    return "".join(f"# {line}\n" for line in head) + text
