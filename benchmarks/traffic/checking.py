"""What the schema of a profile cannot say: what must agree with what."""

import difflib
import re
from collections.abc import Iterator
from typing import Any, Final

from erip.foundation.faults import Fault, join
from workflows.core.schema import place

from .filling import keys, names_in, texts
from .format import MOST_BEFORE, MOST_BEGUN, MOST_FOLLOWING, MOST_RATE, MOST_REQUESTS, MOST_SECONDS, NAME, READS

_PREFIXES: Final = ("/api/v1/", "/health", "/metrics")
#: what a request line may hold: no space, no fragment, nothing that ends the line
_PATH: Final = re.compile(r"[!-~]*")
_LINE: Final = re.compile(r"[ -~]*")

Location = tuple[str | int, ...]


def check(document: dict[str, Any], broken: set[Location], markers: set[Location]) -> Iterator[Fault]:
    """All faults, one after the other. broken: where the schema found something already; nothing is built on these
    parts. markers: strings that are to be filled in."""
    return _Check(document, broken, markers).faults()


class _Check:
    def __init__(self, document: dict[str, Any], broken: set[Location], markers: set[Location]) -> None:
        self.document, self.broken, self.markers = document, broken, markers
        #: what is broken, and all that is above it
        self.above = {bad[:length] for bad in broken for length in range(len(bad) + 1)}
        #: every request with its place, without those of its parts that are broken
        self.asked = [
            (location, {key: value for key, value in one.items() if key == "then" or self.sound(*location, key)})
            for location, one in all_requests(document)
        ]
        values = document.get("values")
        self.values: dict[str, Any] = values if isinstance(values, dict) else {}
        #: names of kept values, and of all
        self.kept = {name for _, one in self.asked for name in one.get("keep", {})}
        self.known = {*self.values, *self.kept}
        self.likely = sorted(self.known)[:500]

    def sound(self, *location: str | int) -> bool:
        """Whether neither this place, nor what is above or in it, is broken."""
        return location not in self.above and not any(location[:n] in self.broken for n in range(len(location)))

    def faults(self) -> Iterator[Fault]:
        yield from self._writes()
        if self.sound("phases"):
            yield from self._phases()
        yield from self._rates()
        yield from self._values()
        yield from self._names()
        for location, one in self.asked:
            yield from self._request(location, one)

    def _writes(self) -> Iterator[Fault]:
        """Nobody starts runs on production by mistake: writing is asked for, and the host is named."""
        if not self.sound("writes") or not self.sound("host"):
            return
        writes = self.document.get("writes", False)
        if writes and "host" not in self.document:
            yield Fault("host", "is required with `writes: true`: the host that may be written to")
        if not writes:
            for location, one in self.asked:
                if "method" in one and one["method"] not in READS:
                    yield Fault(
                        place("", (*location, "method")),
                        f"{one['method']} may change things: say `writes: true`, and name the `host` that it is for",
                    )

    def _phases(self) -> Iterator[Fault]:
        seconds = 0.0
        for number, phase in enumerate(self.document["phases"]):
            path = join("phases", number)
            seconds += phase["seconds"]
            if "factor" in phase and ("from" in phase or "to" in phase):
                yield Fault(path, "has either a `factor` or `from` and `to`")
            elif ("from" in phase) != ("to" in phase):
                yield Fault(path, "`from` and `to` go together")
        if seconds > MOST_SECONDS:
            yield Fault("phases", f"last {seconds:,.0f} s in all; {MOST_SECONDS:,} s at most")

    def _rates(self) -> Iterator[Fault]:
        requests = [one for one in _listed(self.document.get("requests")) if isinstance(one, dict)]
        for number, one in enumerate(requests):
            if ("share" in one) == ("rate" in one):
                yield Fault(join("requests", number), "has either a `share` of the profile's `rate`, or its own `rate`")
        shared = any("share" in one for one in requests)
        if shared and "rate" not in self.document:
            yield Fault("rate", "is required: requests have a `share` of it")
        if not shared and "rate" in self.document:
            yield Fault("rate", "no request has a `share` of it")
        if not all(self.sound(part) for part in ("phases", "requests", "rate")):
            return
        begun = sum(one.get("rate", 0) for one in requests) + (self.document.get("rate", 0) if shared else 0)
        # Of requests, not of sessions: what follows in a session is sent, too. A poll counts once.
        rate = self._sent(requests)
        ends = [_ends(phase) for phase in self.document["phases"]]
        peak = rate * max(map(max, ends))
        if peak > MOST_RATE:
            yield Fault("phases", f"the peak has {peak:,.0f} requests a second; {MOST_RATE:,} at most")
        load = sum(one["seconds"] * sum(end) / 2 for one, end in zip(self.document["phases"], ends, strict=True))
        total = rate * load
        if total > MOST_REQUESTS:
            yield Fault("phases", f"{total:,.0f} requests in all; {MOST_REQUESTS:,} at most")
        elif begun and begun * load < 1:
            yield Fault("phases", "no request would be sent")

    def _sent(self, requests: list[dict[str, Any]]) -> float:
        """Requests a second at factor 1."""
        shares = sum(one.get("share", 0) for one in requests)
        each = self.document.get("rate", 0) / shares if shares else 0.0
        return sum(
            float(one["rate"] if "rate" in one else one.get("share", 0) * each) * (1 + len(one.get("then", ())))
            for one in requests
        )

    def _values(self) -> Iterator[Fault]:
        for name, one in self.values.items():
            if not self.sound("values", name):
                continue
            path = join("values", name)
            if name in self.kept:
                yield Fault(path, "is kept from answers, too: give one of them another name")
            ways = [way for way in ("one_of", "unique") if way in one] + (
                ["from"] if {"from", "to"} & one.keys() else []
            )
            if len(ways) != 1:
                yield Fault(path, "has one of: `one_of`, `from` and `to`, `unique`")
                continue
            if ways == ["from"]:
                yield from _range(path, one)
            elif "decimals" in one:
                yield Fault(join(path, "decimals"), "goes with `from` and `to`")
            if "weights" in one and len(one["weights"]) != len(one.get("one_of", ())):
                yield Fault(join(path, "weights"), "there is one for each of `one_of`, and for nothing else")

    def _names(self) -> Iterator[Fault]:
        seen: set[str] = set()
        for location, one in self.asked:
            name = one.get("name")
            if name in seen:
                yield Fault(place("", (*location, "name")), f'"{name}" is the name of another request')
            if name is not None:
                seen.add(name)

    def _request(self, location: Location, one: dict[str, Any]) -> Iterator[Fault]:
        found = [
            ((*location, part, *inside), text)
            for part in ("path", "headers", "body")
            if part in one
            for inside, text in texts(one[part])
        ]
        for where, text in found:
            if where in self.markers:
                continue
            for name in names_in(text):
                yield from self._placeholder(place("", where), name)
        for inside, key in keys(one.get("body")):
            if names_in(key):
                yield Fault(
                    place("", (*location, "body", *inside)), "a key has no placeholders: only values are filled"
                )
        if isinstance(path := one.get("path"), str) and (*location, "path") not in self.markers:
            yield from _path(place("", (*location, "path")), path)
        for name, text in one.get("headers", {}).items():
            if name == "Content-Type" and names_in(text):
                yield Fault(place("", (*location, "headers", name)), "has no placeholders")
            if (*location, "headers", name) not in self.markers and not _LINE.fullmatch(text):
                yield Fault(place("", (*location, "headers", name)), "has printable ASCII alone")
        if "body" in one and one.get("method") in READS:
            yield Fault(place("", (*location, "body")), f"{one['method']} has none")

    def _placeholder(self, path: str, name: str) -> Iterator[Fault]:
        if not re.fullmatch(NAME, name):
            yield Fault(
                path, f"${{{name[:80]}}} is no placeholder: a name has small letters, digits and _, as ${{run}}"
            )
        elif name not in self.known:
            near = difflib.get_close_matches(name, self.likely, n=1)
            hint = f' (did you mean "{near[0]}"?)' if near else ""
            yield Fault(path, f"${{{name}}} is neither one of `values` nor kept by a request{hint}")


def all_requests(document: dict[str, Any]) -> Iterator[tuple[Location, dict[str, Any]]]:
    """Every request that is one, with its place: of `before`, `requests` and `then`. Of a list that is too long, only
    as many as it may have: the schema has said so."""
    for part, most in (("before", MOST_BEFORE), ("requests", MOST_BEGUN)):
        for number, one in enumerate(_listed(document.get(part))[:most]):
            if not isinstance(one, dict):
                continue
            yield (part, number), one
            for after, following in enumerate(_listed(one.get("then"))[:MOST_FOLLOWING]):
                if isinstance(following, dict):
                    yield (part, number, "then", after), following


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _ends(phase: dict[str, Any]) -> tuple[float, float]:
    factor = phase.get("factor", 1)
    return phase.get("from", factor), phase.get("to", factor)


def _range(path: str, one: dict[str, Any]) -> Iterator[Fault]:
    if "from" not in one or "to" not in one:
        yield Fault(path, "`from` and `to` go together")
    elif one["from"] > one["to"]:
        yield Fault(path, "`from` is above `to`")
    elif "decimals" not in one and not (float(one["from"]).is_integer() and float(one["to"]).is_integer()):
        yield Fault(path, "a range of numbers that are not whole has `decimals`")


def _path(where: str, path: str) -> Iterator[Fault]:
    if not path.startswith(_PREFIXES):
        yield Fault(where, f"begins with one of {', '.join(_PREFIXES)}: what an API key opens")
    if not _PATH.fullmatch(path) or "#" in path or "\\" in path:
        yield Fault(where, "has printable ASCII without spaces, # and \\; encode other characters as %…")
    if path.partition("?")[0].rstrip("/").endswith("/stream"):
        yield Fault(where, "is a stream: its answer has no end, so it has no time either")
    parts = path.partition("?")[0].split("/")
    if ".." in parts or "." in parts:
        yield Fault(where, "has no parts . and ..")
