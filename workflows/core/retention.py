"""How long data is kept, by class, and what keeps it longer: plain decisions over rows that somebody else reads.

Note [Retention]
A class is a kind of data with a moment from which its time counts: `runs` (a run with its steps and events),
`sensitive` (what is sealed of a run), `reports`, and `audit` (what opens the hashes of the audit log). How long it is
kept says the newest version of its workflow (`retention` in the definition), and where that says nothing, the site.
Nothing said means for ever. Whatever cannot be known keeps: a workflow whose newest version cannot be read keeps all
that is its own.

A legal hold keeps what it names: all data, a workflow's, a run's, or a person's, of all classes or of some, of all
times or of a span. One hold is enough. It also keeps what the data that it names would go with (`GOES_WITH`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from workflows.core.durations import NotADuration, parse_duration

#: the classes that a definition may name
OF_WORKFLOWS: Final = ("runs", "sensitive", "reports")
#: all classes
CLASSES: Final = (*OF_WORKFLOWS, "audit")
#: Classes of which something goes with an item of another one: with a run what is sealed of it; with either of them
#: what opens the audit log's hashes of its approvals.
GOES_WITH: Final[Mapping[str, tuple[str, ...]]] = {"runs": ("sensitive", "audit"), "sensitive": ("audit",)}


@dataclass(frozen=True, slots=True)
class Rule:
    """How long something is kept. seconds: None is for ever. by: `definition`, `site`, or `unreadable`."""

    seconds: float | None
    by: str


FOR_EVER: Final = Rule(None, "site")
UNREADABLE: Final = Rule(None, "unreadable")


@dataclass(frozen=True, slots=True)
class Rules:
    """All that is said. workflows: by name; None where the newest version cannot be read. site: seconds by class."""

    workflows: Mapping[str, Mapping[str, float] | None]
    site: Mapping[str, float]

    def of(self, kind: str, workflow: str) -> Rule:
        said = self.workflows.get(workflow, {})
        if said is None:
            return UNREADABLE
        if kind in said:
            return Rule(said[kind], "definition")
        return Rule(self.site[kind], "site") if kind in self.site else FOR_EVER

    def shortest(self, kind: str) -> float | None:
        """Nothing that is younger goes; None: nothing of this class goes at all."""
        said = [each[kind] for each in self.workflows.values() if each is not None and kind in each]
        return min([*said, *([self.site[kind]] if kind in self.site else [])], default=None)


def said_in(document: Any) -> Mapping[str, float] | None:
    """Seconds by class, of what stands under `retention` in a definition; None if it cannot be read."""
    if document is None:
        return {}
    if not isinstance(document, dict) or not document.keys() <= set(OF_WORKFLOWS):
        return None
    try:
        return {kind: parse_duration(value) for kind, value in document.items()}
    except NotADuration:
        return None


@dataclass(frozen=True, slots=True)
class Item:
    """Something that is kept.

    key: what it is found by; items of a class are read in the order of their keys
    since: when its time began to count; began: when what it tells of began
    workflow: "" if it is none's. run, person: None where they are not known
    """

    key: str
    since: datetime
    began: datetime
    workflow: str = ""
    run: UUID | None = None
    person: bytes | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A legal hold in force.

    name: as people know it. kinds: () is all classes. since, until: of the data's time; None has no end. At most one of
    workflow, run and person is given; none: it holds everything.
    """

    name: str
    kinds: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    workflow: str = ""
    run: UUID | None = None
    person: bytes | None = None

    def keeps(self, kind: str, item: Item) -> bool:
        if not self.concerns(kind) or not self.meets(item.began, item.since):
            return False
        if kind == "audit":
            return True  # whom an entry is about is not known
        if self.person is not None:
            return item.person == self.person
        if self.run is not None:
            return item.run == self.run
        return not self.workflow or item.workflow == self.workflow

    def concerns(self, kind: str) -> bool:
        """Whether something that it names goes when this class does."""
        return not self.kinds or not {kind, *GOES_WITH.get(kind, ())}.isdisjoint(self.kinds)

    def meets(self, since: datetime, until: datetime) -> bool:
        """Whether its time and this span have a moment in common."""
        return (self.since is None or self.since <= until) and (self.until is None or since < self.until)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an item. goes: it is past its time, and nothing keeps it. why: the hold, or `unreadable`, that
    keeps what may be past it; "" otherwise."""

    goes: bool
    rule: Rule
    why: str = ""


def judge(kind: str, item: Item, rules: Rules, holds: Sequence[Held], now: datetime) -> Verdict:
    rule = rules.of(kind, item.workflow)
    if rule is UNREADABLE:
        return Verdict(False, rule, "the newest version of its workflow cannot be read")
    if rule.seconds is None or item.since > now - timedelta(seconds=rule.seconds):
        return Verdict(False, rule)
    held = next((hold for hold in holds if hold.keeps(kind, item)), None)
    return Verdict(held is None, rule, f"legal hold {held.name}" if held is not None else "")


def keeping(holds: Iterable[Held], kind: str, since: datetime, until: datetime) -> Held | None:
    """A hold for which everything of this class from a span of time stays, as nobody looks at single items of it."""
    return next((one for one in holds if one.concerns(kind) and one.meets(since, until)), None)
