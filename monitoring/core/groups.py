"""Groups of errors of one kind: how they are counted before they are stored, and what people decide about them.

Note [Error groups]
An error costs no row. Errors are first added up in memory, by kind and minute (`Tallies`), and what is stored grows
with kinds and minutes alone: one row of a group, one row for each minute and each hour in which it was seen. The
numbers of kinds, of minutes and of links are bounded; kinds beyond the bound are counted as one.

A group is open until somebody resolves or ignores it. A resolved one that is seen again is open again, as a regression,
unless it was seen in a release, or in a version of the workflow, that the fix is not in. An ignored one is counted, and
nobody hears of it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from monitoring.core.fingerprints import Kind, beyond

#: links of a group
LINKS: Final = 20
#: kinds that are added up at once, and minutes of each; what is beyond that is counted with others
MOST_KINDS, MOST_MINUTES, MOST_DEFINITIONS = 200, 180, 20


class GroupState(StrEnum):
    OPEN = "open"  # → resolved, ignored: somebody decides so
    RESOLVED = "resolved"  # → open: seen again (a regression), or somebody decides so; → ignored
    IGNORED = "ignored"  # → open, resolved: somebody decides so


@dataclass(frozen=True, slots=True)
class Link:
    """Something that an error of the group happened to. kind: `run`, `request`, `dead_letter`, `delivery`, `alert`.

    detail: what else is known of it, in a few words: the step, the route, the type of the event.
    """

    kind: str
    id: str
    at: datetime
    detail: str = ""

    def stored(self) -> dict[str, str]:
        return {"kind": self.kind, "id": self.id, "at": self.at.isoformat(), "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Definition:
    """A version of a workflow."""

    workflow: str
    version: int

    def __str__(self) -> str:
        return f"{self.workflow}@{self.version}"


@dataclass(slots=True)
class Tally:
    """Errors of one kind, added up. minutes: number by the beginning of the minute. links: the newest first.
    definitions: when each was seen last; None stands for errors of no workflow."""

    kind: Kind
    first: datetime
    last: datetime
    minutes: dict[datetime, int] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    definitions: dict[Definition | None, datetime] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(self.minutes.values())


class Tallies:
    """Adds errors up. Its size is bounded, however many errors there are. For one thread."""

    def __init__(self, *, most: int = MOST_KINDS) -> None:
        """most: kinds that it tells apart."""
        self._by_kind: dict[str, Tally] = {}
        self._most = most

    def __len__(self) -> int:
        return len(self._by_kind)

    def __iter__(self) -> Iterator[Tally]:
        return iter(self._by_kind.values())

    def add(
        self,
        kind: Kind,
        at: datetime,
        *,
        count: int = 1,
        first: datetime | None = None,
        links: list[Link] | None = None,
        definition: Definition | None = None,
    ) -> None:
        """Count errors of a minute. at: of the last of them."""
        tally = self._by_kind.get(kind.fingerprint)
        if tally is None:
            if len(self._by_kind) >= self._most:
                kind = beyond(kind.source)
            tally = self._by_kind.setdefault(kind.fingerprint, Tally(kind, first or at, at))
        tally.first = min(tally.first, first or at)
        tally.last = max(tally.last, at)
        minute = at.astimezone(UTC).replace(second=0, microsecond=0)
        if minute not in tally.minutes and len(tally.minutes) >= MOST_MINUTES:
            minute = max(tally.minutes)
        tally.minutes[minute] = tally.minutes.get(minute, 0) + count
        if links:
            tally.links = newest(tally.links, links)
        if definition in tally.definitions or len(tally.definitions) < MOST_DEFINITIONS:
            tally.definitions[definition] = max(at, tally.definitions.get(definition, at))

    def merge(self, other: "Tallies") -> None:
        """Take in what another one counted."""
        for tally in other:
            for minute, count in sorted(tally.minutes.items()):
                at = min(tally.last, minute + timedelta(seconds=59))
                self.add(tally.kind, max(at, minute), count=count, first=tally.first, links=tally.links)
            mine = self._by_kind.get(tally.kind.fingerprint)
            if mine is not None:
                mine.definitions.update(tally.definitions)


def newest(links: list[Link], more: list[Link]) -> list[Link]:
    """The newest LINKS of both, the newest first; each thing once."""
    found: dict[tuple[str, str], Link] = {}
    for link in sorted([*links, *more], key=lambda one: one.at, reverse=True):
        found.setdefault((link.kind, link.id), link)
    return list(found.values())[:LINKS]


def read_links(stored: Any) -> list[Link]:
    """The reverse of `Link.stored`; what another release wrote in another form is left out."""
    found = []
    for one in stored if isinstance(stored, list) else ():
        try:
            found.append(Link(one["kind"], one["id"], datetime.fromisoformat(one["at"]), one.get("detail", "")))
        except (TypeError, ValueError, KeyError, AttributeError):
            continue
    return found


@dataclass(frozen=True, slots=True)
class Resolution:
    """That somebody resolved a group. under: the release that ran then. release, definition: what the fix is in; None:
    in whatever ran then."""

    at: datetime
    under: str
    release: str | None = None
    definition: Definition | None = None


def is_regression(resolution: Resolution, seen: Mapping[Definition | None, datetime], release: str) -> bool:
    """Whether a resolved group that was seen again is open again.

    seen: when it was seen last, by the version of the workflow. release: that it was seen in.
    """
    if resolution.release is not None and _lacks(resolution.release, resolution.under, release):
        return False
    fixed = resolution.definition
    return any(
        at > resolution.at
        and not (
            fixed is not None
            and definition is not None
            and definition.workflow == fixed.workflow
            and definition.version < fixed.version
        )
        for definition, at in seen.items()
    )


def _lacks(fixed: str, under: str, release: str) -> bool:
    """Whether a release does not have the fix yet. Releases that are no numbers have no order; then only the one that
    ran when it was resolved is known to lack it."""
    mine, other = _numbers(release), _numbers(fixed)
    if mine is not None and other is not None:
        return mine < other
    return release == under and release != fixed


def _numbers(release: str) -> tuple[int, ...] | None:
    if not re.fullmatch(r"v?\d{1,9}(\.\d{1,9}){0,5}", release, re.ASCII):
        return None
    parts = [int(part) for part in release.removeprefix("v").split(".")]
    return tuple(parts + [0] * (6 - len(parts)))
