"""`wait: {any: […]}` and `{all: […]}`: for the first, or for every one, of several signals, times and conditions, and
of groups of these.

Note [Several]
What has come so far is the output of the waiting step, and so is written with its row: `{"waits": [{signal, until,
fixed, came}, …], "timeout_at"}`, with an entry for each signal, time and condition in the order in which they are
written; which groups they are in, the definition says. The row's `due_at` is the next moment of all, so that a ladder
of times costs one row and no timer.
What is still waited for is open. A group that has come is not open any more, nor is anything in it, so that whatever
had not come is withdrawn with it, in the same transaction: the times with `due_at`, the signals because no step waits
for them any more. When the step ends, its row says so.
A wait takes one signal of each name: a second one is for another step.
A condition is decided when the step begins, and again whenever something happens to the run. Once it was true it has
come, whatever follows. Where it cannot be decided it has not come, unless the steps that it reads have all ended: then
it never can be, and the step fails.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from erip.foundation.faults import Fault
from workflows.core.expressions import Expression
from workflows.core.schema import Schema
from workflows.core.sensitive import Parts
from workflows.core.templates import Template

SIGNAL, UNTIL, FIXED, CAME = "signal", "until", "fixed", "came"


@dataclass(frozen=True)
class Part:
    """Exactly one of `duration`, `until`, `signal` and `condition` is given."""

    #: its place in the definition: any[0].all[1]
    at: str
    #: which of all parts it is, from 0
    index: int
    duration: Template | None = None
    until: Template | None = None
    signal: str | None = None
    schema: Schema | None = None
    condition: Expression | None = None

    def faults(self, payload: Any, *, sealed: Parts) -> list[Fault]:
        return self.schema.faults(payload, at="payload", sealed=sealed) if self.schema else []


@dataclass(frozen=True)
class Group:
    """Has come when the first of its members has, or every one."""

    members: "tuple[Part | Group, ...]"
    every: bool

    @property
    def groups(self) -> bool:
        """Whether there are groups in it."""
        return any(isinstance(member, Group) for member in self.members)

    def parts(self) -> Iterator[Part]:
        for member in self.members:
            if isinstance(member, Part):
                yield member
            else:
                yield from member.parts()


@dataclass(frozen=True)
class Several:
    """What a wait waits for, as a tree."""

    root: Group

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        return tuple(self.root.parts())

    @cached_property
    def signals(self) -> tuple[str, ...]:
        return tuple(part.signal for part in self.parts if part.signal is not None)

    @cached_property
    def conditions(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.condition is not None)

    @property
    def plain(self) -> bool:
        """Whether releases that know no groups and no conditions read it."""
        return not self.root.groups and not self.conditions

    def faults(self, signal: str, payload: Any, *, sealed: Parts) -> list[Fault]:
        return [fault for part in self.parts if part.signal == signal for fault in part.faults(payload, sealed=sealed)]

    def begun(self, moments: Sequence[datetime | None], now: datetime, timeout_at: datetime | None) -> "Progress":
        """moments: of each part, if it is a time."""
        waits: list[dict[str, Any]] = [
            {
                SIGNAL: part.signal,
                UNTIL: at.isoformat() if at is not None else None,
                FIXED: part.until is not None,
                CAME: None,
            }
            for part, at in zip(self.parts, moments, strict=True)
        ]
        begun = Progress({"waits": waits, "timeout_at": timeout_at.isoformat() if timeout_at else None})
        return self.at(begun, now)

    # --- what has come

    def ended(self, progress: "Progress") -> bool:
        return _came(self.root, progress)

    def open(self, progress: "Progress") -> list[Part]:
        """The parts that it still waits for."""
        return list(_open(self.root, progress))

    def wants(self, progress: "Progress", signal: str) -> bool:
        return any(part.signal == signal for part in self.open(progress))

    def due_at(self, progress: "Progress") -> datetime | None:
        """The next moment at which something comes, or the time limit."""
        moments = [at for part in self.open(progress) if (at := progress.moment(part)) is not None]
        if (timeout_at := progress.timeout_at) is not None:
            moments.append(timeout_at)
        return min(moments, default=None)

    def at(self, progress: "Progress", now: datetime) -> "Progress":
        """With the times that have come by then, the earliest first: what it withdraws does not come any more."""
        while True:
            times = [(at, part) for part in self.open(progress) if (at := progress.moment(part)) is not None]
            at, part = min(times, key=lambda time: time[0], default=(None, None))
            if at is None or part is None or at > now:
                return progress
            progress = progress.came(part, {})

    def signalled(self, progress: "Progress", signal: str, payload: Any, by: str) -> "Progress":
        part = next(part for part in self.open(progress) if part.signal == signal)
        return progress.came(part, {"payload": payload, "by": by})

    def never(self, progress: "Progress", hopeless: Sequence[Part]) -> bool:
        """Whether it cannot end any more. hopeless: conditions that cannot come any more."""
        return _never(self.root, progress, {part.index for part in hopeless})

    # --- what is told of it

    def output(self, progress: "Progress", *, timed_out: bool) -> dict[str, Any]:
        """The output of the step once it has ended."""
        return {**_result(self.root, progress), "timed_out": timed_out}

    def missing(self, progress: "Progress") -> str:
        """What has not come, in words."""
        return _missing(self.root, progress)


@dataclass(frozen=True, slots=True)
class Progress:
    """What has come so far: see Note [Several]. Never changed: each step of it is a new one."""

    document: Mapping[str, Any]

    def of(self, part: Part) -> Mapping[str, Any]:
        entry: Mapping[str, Any] = self.document["waits"][part.index]
        return entry

    @property
    def timeout_at(self) -> datetime | None:
        at = self.document["timeout_at"]
        return datetime.fromisoformat(at) if at is not None else None

    def moment(self, part: Part) -> datetime | None:
        at = self.of(part)[UNTIL]
        return datetime.fromisoformat(at) if at else None

    def came(self, part: Part, what: Mapping[str, Any]) -> "Progress":
        waits = list(self.document["waits"])
        waits[part.index] = {**waits[part.index], CAME: dict(what)}
        return Progress({**self.document, "waits": waits})

    def moved(self, seconds: float) -> "Progress":
        """With all times that count from a beginning so much later; moments of the calendar stay."""
        by = timedelta(seconds=seconds)
        waits = [
            {**wait, UNTIL: (datetime.fromisoformat(wait[UNTIL]) + by).isoformat()}
            if wait[UNTIL] and wait[CAME] is None and not wait[FIXED]
            else wait
            for wait in self.document["waits"]
        ]
        timeout_at = self.timeout_at
        return Progress({"waits": waits, "timeout_at": (timeout_at + by).isoformat() if timeout_at else None})


def _came(node: Part | Group, progress: Progress) -> bool:
    if isinstance(node, Part):
        return progress.of(node)[CAME] is not None
    came = (_came(member, progress) for member in node.members)
    return all(came) if node.every else any(came)


def _open(node: Part | Group, progress: Progress) -> Iterator[Part]:
    if _came(node, progress):
        return
    if isinstance(node, Part):
        yield node
        return
    for member in node.members:
        yield from _open(member, progress)


def _never(node: Part | Group, progress: Progress, hopeless: set[int]) -> bool:
    if _came(node, progress):
        return False
    if isinstance(node, Part):
        return node.index in hopeless
    never = (_never(member, progress, hopeless) for member in node.members)
    return any(never) if node.every else all(never)


def _result(group: Group, progress: Progress) -> dict[str, Any]:
    """Of all: one for each member. Of any: the first one's; with groups in it also one for each member, because what
    came of a group that was not the first is lost otherwise."""
    results = [_of_member(member, progress) for member in group.members]
    if group.every:
        return {"results": results}
    first = next((index for index, member in enumerate(group.members) if _came(member, progress)), None)
    told: dict[str, Any] = {"first": first, SIGNAL: None, "payload": None, "by": None}
    winner = group.members[first] if first is not None else None
    if isinstance(winner, Part):
        entry = progress.of(winner)
        told |= {SIGNAL: entry[SIGNAL], **entry[CAME]}
    return {**told, "results": results} if group.groups else told


def _of_member(member: Part | Group, progress: Progress) -> dict[str, Any] | None:
    if isinstance(member, Group):
        return _result(member, progress)
    entry = progress.of(member)
    return None if entry[CAME] is None else {SIGNAL: entry[SIGNAL], **entry[CAME]}


def _missing(group: Group, progress: Progress) -> str:
    told = [_told(member, progress) for member in group.members if not _came(member, progress)]
    if len(told) == 1:
        return told[0]
    if not group.every:
        return f"the first of {', '.join(told)}"
    return ", ".join(told[:-1]) + f" and {told[-1]}"


def _told(member: Part | Group, progress: Progress) -> str:
    if isinstance(member, Group):
        words = _missing(member, progress)
        return f"({words})" if sum(not _came(each, progress) for each in member.members) > 1 else words
    if member.condition is not None:
        return f"the condition {member.condition.source}"
    entry = progress.of(member)
    return f'the signal "{entry[SIGNAL]}"' if entry[SIGNAL] is not None else f"the moment {entry[UNTIL]}"
