"""Removes what is past its time: some at a time, from where it was; and says beforehand what would go, and why.

Note [Removing]
A pass looks at the items of a class in the order of their keys, `AT_A_TIME` at a time. What is past its time and not
held goes in one transaction with a certificate, which names the rule and how many there were; the audit log has an
entry for each certificate. The holds are read in that transaction, after everybody who puts one (`holds.turn`). A pass
remembers where it is in the process alone: a new leader begins again, and finds what is still there. So nothing is
removed twice, and nothing is forgotten.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog
from django.db import DatabaseError, transaction
from django.db.models import F
from django.utils import timezone

from erip.audit import entries
from erip.foundation.db.connections import unhurried
from erip.foundation.db.failures import sqlstate
from erip.foundation.hooks import periodic_duty
from workflows.conf import conf
from workflows.core.retention import Held, Item, Rule, Rules, judge, said_in
from workflows.models import WorkflowDefinition
from workflows.privacy import holds
from workflows.privacy.classes import AT_A_TIME, Class, all_classes, older_than
from workflows.privacy.models import Erasure

log = structlog.get_logger(__name__)

#: seconds between two passes of the leader
EVERY: Final = 600.0
#: items that a dry run, or one call for more, looks at
MOST: Final = 50_000
#: who removes when nobody asked
PLATFORM: Final = "platform"
_FLOOR: Final = "ERIP_RETENTION_LEAST_DAYS, as the database has it"
#: SQLSTATE insufficient_privilege
_REFUSED: Final = "42501"
_BY: Final = {"definition": "the definition says so", "site": "the site's setting says so"}


def clock() -> datetime:
    return timezone.now()


def rules() -> Rules:
    """What is said now about how long data is kept."""
    rows = WorkflowDefinition.objects.filter(versions__number=F("latest")).values_list(
        "name", "versions__document__retention"
    )
    return Rules({name: said_in(document) for name, document in rows}, conf().retention)


@dataclass(slots=True)
class Group:
    """Items of one class and workflow that go by one rule. oldest, newest: when their time began."""

    kind: str
    workflow: str
    rule: Rule
    items: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None

    def add(self, item: Item) -> None:
        self.items += 1
        self.oldest = min(self.oldest or item.since, item.since)
        self.newest = max(self.newest or item.since, item.since)

    def shown(self) -> dict[str, Any]:
        days = None if self.rule.seconds is None else round(self.rule.seconds / 86_400, 3)
        return {
            "kind": self.kind,
            "workflow": self.workflow or None,
            "items": self.items,
            "oldest": self.oldest,
            "newest": self.newest,
            "kept_days": days,
            "why": f"kept for {days:g} days: {_BY[self.rule.by]}" if days is not None else "",
        }


@dataclass(slots=True)
class Report:
    """What would go, or went. kept: (class, why) and how many. complete: False if there is more to look at."""

    groups: dict[tuple[str, str, Rule], Group] = field(default_factory=dict)
    kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    certificates: list[int] = field(default_factory=list)
    complete: bool = True

    def count(self, kind: str, item: Item, rule: Rule) -> None:
        self.groups.setdefault((kind, item.workflow, rule), Group(kind, item.workflow, rule)).add(item)

    def shown(self) -> dict[str, Any]:
        return {
            "items": [self.groups[key].shown() for key in sorted(self.groups, key=str)],
            "kept": [{"kind": kind, "why": why, "items": count} for (kind, why), count in sorted(self.kept.items())],
            "certificates": self.certificates,
            "complete": self.complete,
        }


def preview(*, most: int = MOST) -> Report:
    """What would go now, and what is kept although it is past its time."""
    return _pass(most, None)


def remove(*, by: str, reason: str, most: int = MOST) -> Report:
    """Remove what is past its time, as far as `most` items reach."""
    return _pass(most, (by, reason))


def _pass(most: int, who: tuple[str, str] | None) -> Report:
    report = Report()
    said = rules()
    for one in all_classes():
        looked = 0
        for items in _looks(one, said):
            _batch(one, items, said, who, report)
            looked += AT_A_TIME
            if looked >= most:
                report.complete = False
                break
    return report


def _looks(one: Class, said: Rules) -> Iterator[Sequence[Item]]:
    """The items of a class that may be past their time, some at a time."""
    after: str | None = ""
    while after is not None:
        items, after = _look(one, said, after)
        yield items


def _look(one: Class, said: Rules, after: str) -> tuple[Sequence[Item], str | None]:
    shortest = said.shortest(one.name)
    if shortest is None:
        return (), None
    found = one.look(after, older_than(shortest, clock()), AT_A_TIME)
    return found.items, found.next


def _batch(one: Class, items: Sequence[Item], said: Rules, who: tuple[str, str] | None, report: Report) -> None:
    """Look at some items, and remove those that go. who: (by, reason); None only counts."""
    unheld = Report()
    if not _going(one, items, said, (), unheld):
        # There may be years of runs that stay: no hold is asked for, and nobody waits for a turn.
        report.kept.update(unheld.kept)
        return
    if who is None:
        _going(one, items, said, holds.in_force(), report)
        return
    done = Report()
    try:
        # A fan-out may have 10,000 rows.
        with transaction.atomic(), unhurried():
            holds.turn()
            going = _going(one, items, said, holds.in_force(), done)
            if going and one.remove([item for item, _ in going]):
                report.certificates.append(_certify(done, [item for item, _ in going], *who))
    except DatabaseError as error:
        if sqlstate(error) != _REFUSED:
            raise
        # Its clock, or its floor, is another one than a moment ago.
        report.kept[one.name, _FLOOR] += len(items)
        return
    for key, group in done.groups.items():
        whole = report.groups.setdefault(key, Group(group.kind, group.workflow, group.rule))
        whole.items += group.items
        whole.oldest = min(filter(None, (whole.oldest, group.oldest)), default=None)
        whole.newest = max(filter(None, (whole.newest, group.newest)), default=None)
    report.kept.update(done.kept)


def _going(
    one: Class, items: Sequence[Item], said: Rules, held: Sequence[Held], report: Report
) -> list[tuple[Item, Rule]]:
    now, least = clock(), one.least()
    going = []
    for item in items:
        verdict = judge(one.name, item, said, held, now)
        if verdict.why:
            report.kept[one.name, verdict.why] += 1
        if not verdict.goes:
            continue
        if least is None or item.since > older_than(least * 86_400.0, now):
            report.kept[one.name, _FLOOR] += 1
            continue
        going.append((item, verdict.rule))
        report.count(one.name, item, verdict.rule)
    return going


def _certify(done: Report, gone: Sequence[Item], by: str, reason: str) -> int:
    """Keep in this transaction what was removed and why. Returns the certificate's number."""
    named = hashlib.sha256("\n".join(item.key for item in gone).encode()).hexdigest()
    groups = [
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in group.shown().items()}
        for group in done.groups.values()
    ]
    certificate = {
        "retention": groups,
        "items": len(gone),
        "first": gone[0].key,
        "last": gone[-1].key,
        "sha256": named,
        "at": clock().isoformat(),
        "by": by,
        "reason": reason,
        "says": "This was past the time for which it is kept, no legal hold named it, and it was removed.",
    }
    number = int(Erasure.objects.create(certificate=certificate).pk)
    if by == PLATFORM:
        told = {"kind": "effect", "action": "privacy.retention", "principal": by, "object": f"erasure:{number}"}
        entries.write({**told, "reason": reason, "items": len(gone), "kinds": sorted({one["kind"] for one in groups})})
    return number


class _Leader:
    """Where the leader's pass is."""

    def __init__(self) -> None:
        self.said: Rules | None = None
        self.left: list[Class] = []
        self.after = ""

    def step(self) -> bool:
        """Look at the next items. Returns whether there are more in this pass."""
        if self.said is None:
            self.said, self.left, self.after = rules(), list(all_classes()), ""
        if not self.left:
            self.said = None
            return False
        one, report = self.left[0], Report()
        items, after = _look(one, self.said, self.after)
        try:
            _batch(one, items, self.said, (PLATFORM, "kept long enough"), report)
        except DatabaseError:
            # The other classes do not wait for this one.
            self.left.pop(0)
            self.after = ""
            raise
        if refused := report.kept[one.name, _FLOOR]:
            log.info("retention_refused", data=one.name, items=refused)
        for group in report.groups.values():
            log.info("data_removed", data=group.kind, workflow=group.workflow, items=group.items)
        self.after = after or ""
        if after is None:
            self.left.pop(0)
        return True


_leader = _Leader()


@periodic_duty(EVERY)
def remove_what_is_past_its_time() -> bool:
    """Some at a time; the next pass begins a while after the last one has ended."""
    return _leader.step()
