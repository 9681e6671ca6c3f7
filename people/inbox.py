"""Who is asked for what: lists of approvals, and one with all that is known of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from people import persons
from people.errors import UnknownApproval
from people.models import Vote
from people.voting import approval_of, counted
from workflows.core.definition import DefinitionInvalid
from workflows.engine.spaces import of_workflows
from workflows.models import ApprovalTask, StepRun


@dataclass(frozen=True, slots=True)
class Asked:
    """One approval. due_at: when it expires; None: never, or it has ended. missing: seats that are empty, by group;
    None: this release cannot read its definition."""

    task: ApprovalTask
    due_at: datetime | None
    votes: Sequence[Vote]
    missing: Mapping[str, int] | None


def asked(
    *,
    me: str | None = None,
    ended: bool = False,
    before: int | None = None,
    after: int | None = None,
    limit: int,
    spaces: Collection[str] | None = None,
) -> list[Asked]:
    """Open approvals, oldest first, behind the id `after`; or those that have ended, newest first, before the id
    `before`. me: only those that wait for the vote of this person, or of somebody in whose place they may vote. spaces:
    only those of workflows in these."""
    found = _tasks().filter(of_workflows(spaces), closed_at__isnull=not ended)
    found = found.order_by("-id" if ended else "id")
    if before is not None:
        found = found.filter(pk__lt=before)
    if after is not None:
        found = found.filter(pk__gt=after)
    if me is None:
        return _with_votes(list(found[:limit]))
    groups = persons.groups_of_voter(me)
    if ended or me not in groups:
        # What has ended waits for nobody.
        return []
    seats = persons.Seats()
    found, kept = found.filter(_may_wait_for(me, groups)), list[Asked]()
    while len(kept) < limit:
        page = _with_votes(list(found[:limit]))
        kept += [one for one in page if _votes(one, me, groups, seats)]
        if len(page) < limit:
            break
        # Some had to be left out: this release cannot read their definitions.
        found = found.filter(pk__gt=page[-1].task.pk)
    return kept[:limit]


def one(number: int) -> Asked:
    """Raises UnknownApproval."""
    found = _with_votes(list(_tasks().filter(pk=number)))
    if not found:
        raise UnknownApproval
    return found[0]


def mine(me: str, among: Sequence[Asked]) -> list[tuple[Asked, list[str]]]:
    """Those that wait for somebody's vote, and as whom they may vote: see `votes_of`. A statement, and a few
    more for each person in whose place they may vote."""
    groups = persons.groups_of_voter(me) if among else {}
    seats = persons.Seats()
    return [(one, may) for one in among if (may := _votes(one, me, groups, seats))]


def votes_of(asked: Asked, me: str) -> list[str]:
    """As whom somebody may vote now: as themselves (''), or in place of these people. A statement, and a
    few more for each of those."""
    return _votes(asked, me, persons.groups_of_voter(me), persons.Seats())


def _votes(asked: Asked, me: str, groups: Mapping[str, frozenset[str]], seats: persons.Seats) -> list[str]:
    if asked.task.closed_at is not None or asked.missing is None:
        return []
    done = {person for vote in asked.votes for person in (vote.voter, vote.on_behalf_of)}
    may = may_vote_as(me, groups, roles=asked.task.roles, without={*done, *asked.task.barred})
    return [one for one in may if not one or seats.may_vote(one, asked.task.workflow)]


def may_vote_as(
    me: str, groups: Mapping[str, frozenset[str]], *, roles: Collection[str], without: Collection[str]
) -> list[str]:
    """As whom somebody may vote where these groups are asked: see `votes_of`. groups: as `persons.groups_of_voter`
    gives them; without: who has voted, and who is barred."""
    if me in without or me not in groups:
        return []
    return [
        "" if person == me else person
        for person in sorted(groups, key=lambda one: (one != me, one))
        if not groups[person].isdisjoint(roles) and person not in without
    ]


def _may_wait_for(me: str, groups: Mapping[str, frozenset[str]]) -> Any:
    """What `_votes` says, as far as the database knows it."""

    def voted(person: str) -> Exists:
        return Exists(Vote.objects.filter(Q(voter=person) | Q(on_behalf_of=person), task=OuterRef("pk")))

    some: Any = Q(pk__in=[])
    for person, theirs in groups.items():
        if theirs:
            some |= Q(roles__overlap=sorted(theirs)) & ~Q(barred__contains=[person]) & ~voted(person)
    return some & ~Q(barred__contains=[me]) & ~voted(me)


def _tasks() -> QuerySet[ApprovalTask]:
    steps = StepRun.objects.filter(run=OuterRef("run_id"), step=OuterRef("step"), item=-1)
    return ApprovalTask.objects.annotate(due_at=Subquery(steps.values("due_at")[:1]))


def _with_votes(tasks: Sequence[ApprovalTask]) -> list[Asked]:
    votes: dict[int, list[Vote]] = {task.pk: [] for task in tasks}
    for vote in Vote.objects.filter(task__in=tasks).order_by("id") if tasks else ():
        votes[vote.task_id].append(vote)
    return [
        Asked(
            task,
            task.due_at if task.closed_at is None else None,  # type: ignore[attr-defined]  # annotated
            votes[task.pk],
            _missing(task, votes[task.pk]),
        )
        for task in tasks
    ]


def _missing(task: ApprovalTask, votes: Sequence[Vote]) -> Mapping[str, int] | None:
    try:
        return approval_of(task).quorum.missing(counted(votes))
    except DefinitionInvalid:
        return None


def form_of(task: ApprovalTask) -> Mapping[str, Any] | None:
    """The JSON Schema of its form; None: there is none."""
    return approval_of(task).form_schema
