"""What waits for the votes of several people, read for all of them at once: for pages that many look at.

The rows are those of querysets with two columns, a kind and a document, so that a page reads them in one statement with
what else it shows. `inbox` asks for one person, and knows the definition of each approval too.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import JSONObject, Left, Now, Substr

from people.inbox import may_vote_as
from people.models import Delegation, Vote
from people.persons import PREFIX, Seats, is_person
from workflows.models import ApprovalTask, StepRun, WorkflowDefinition

#: open approvals that are looked at, the oldest first
MOST: Final = 500
#: characters of a title
_TITLE: Final = 160
_NOWHERE: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Open:
    """An approval that is open. due_at: when it expires; None: never. without: who has voted, or may not."""

    number: int
    title: str
    workflow: str
    #: of the workflow; "": none
    space: str
    business_key: str | None
    opened_at: datetime
    due_at: datetime | None
    roles: Sequence[str]
    without: frozenset[str]


@dataclass(frozen=True, slots=True)
class Waiting:
    """groups: of each person that was asked about, and is active, those of everybody in whose place they may vote,
    themselves included. seats: of each of those others, the spaces in which they may vote, as `persons.Seats` has them.
    more: there are more open approvals than were looked at."""

    open: Sequence[Open]
    groups: Mapping[str, Mapping[str, frozenset[str]]]
    seats: Mapping[str, frozenset[str] | None]
    more: bool

    def of(self, me: str) -> list[tuple[Open, list[str]]]:
        """What waits for somebody's vote, oldest first, and as whom they may vote: see `inbox.votes_of`."""
        groups = self.groups.get(me, {})
        asked = frozenset[str]().union(*groups.values())
        return [
            (one, may)
            for one in (self.open if asked else ())
            if not asked.isdisjoint(one.roles)
            and (may := self._seated(one, may_vote_as(me, groups, roles=one.roles, without=one.without)))
        ]

    def _seated(self, one: Open, may: list[str]) -> list[str]:
        """Without those who may not vote there themselves: whoever stands in for them may not either."""
        return [
            person
            for person in may
            if not person or (spaces := self.seats.get(person, _NOWHERE)) is None or one.space in spaces
        ]


def parts(people: Collection[str]) -> list[QuerySet[Any]]:
    """What to read for these principals: querysets of (kind, document), which can be joined by UNION ALL."""
    people = {one for one in people if is_person(one)}
    steps = StepRun.objects.filter(run=OuterRef("run_id"), step=OuterRef("step"), item=-1)
    votes = Vote.objects.filter(task=OuterRef("pk")).order_by()
    spaces = WorkflowDefinition.objects.filter(name=OuterRef("workflow")).order_by()
    tasks = ApprovalTask.objects.filter(closed_at__isnull=True).order_by("id")
    now = Now()
    stands_in = Delegation.objects.filter(
        delegate__in=people, revoked_at__isnull=True, starts_at__lte=now, ends_at__gt=now
    ).order_by()
    names = stands_in.annotate(name=Substr("delegator", len(PREFIX) + 1)).values("name")
    users = get_user_model().objects.filter(
        Q(username__in={one.removeprefix(PREFIX) for one in people}) | Q(username__in=names), is_active=True
    )
    return [
        tasks.values_list(
            Value("approval"),
            JSONObject(
                number="id",
                title=Left("title", _TITLE),
                workflow="workflow",
                space=Subquery(spaces.values("space")[:1]),
                business_key="business_key",
                opened_at="opened_at",
                due_at=Subquery(steps.values("due_at")[:1]),
                roles="roles",
                barred="barred",
                voters=ArraySubquery(votes.values("voter")),
                behalf=ArraySubquery(votes.values("on_behalf_of")),
            ),
        )[: MOST + 1],
        users.order_by().values_list(Value("member"), JSONObject(name="username", group=F("groups__name"))),
        stands_in.values_list(Value("stands_in"), JSONObject(delegate="delegate", delegator="delegator")),
    ]


def found(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Waiting:
    """What these rows say. Where somebody stands in for others, it asks where those may vote: a few statements each."""
    open_: list[Open] = []
    groups: dict[str, set[str]] = {}
    stands_in: list[tuple[str, str]] = []
    for kind, row in rows:
        if kind == "approval":
            open_.append(_open(row))
        elif kind == "member":
            theirs = groups.setdefault(f"{PREFIX}{row['name']}", set())
            if row["group"] is not None:
                theirs.add(row["group"])
        elif kind == "stands_in":
            stands_in.append((row["delegate"], row["delegator"]))
    known = {person: frozenset(theirs) for person, theirs in groups.items()}
    may: dict[str, dict[str, frozenset[str]]] = {person: {person: theirs} for person, theirs in known.items()}
    for delegate, delegator in stands_in:
        if delegate in may and delegator in known:
            may[delegate][delegator] = known[delegator]
    seats = Seats()
    seated = {person: seats.spaces(person) for person in {other for _, other in stands_in if other in known}}
    open_.sort(key=lambda one: one.number)
    return Waiting(open_[:MOST], may, seated, len(open_) > MOST)


def _open(row: Mapping[str, Any]) -> Open:
    return Open(
        row["number"],
        row["title"],
        row["workflow"],
        row["space"] or "",
        row["business_key"],
        datetime.fromisoformat(row["opened_at"]),
        datetime.fromisoformat(row["due_at"]) if row["due_at"] else None,
        row["roles"],
        frozenset((*row["barred"], *row["voters"], *row["behalf"])),
    )


__all__ = ["MOST", "Open", "Waiting", "found", "parts"]
