"""The one place where a vote is taken, whatever door it comes through.

Note [Voting]
Each vote locks its run, as every decision about a run does, so votes on one approval are counted one after the other:
fifty at once fill exactly the seats that there are. The vote and what follows from it, the end of the task and of the
step, are one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction

from erip.foundation import json_values
from erip.foundation.db import retry
from erip.foundation.db.retry import Attempt
from erip.foundation.faults import Fault
from people import persons
from people.errors import (
    AlreadyVoted,
    ApprovalEnded,
    ApprovalPaused,
    ContentChanged,
    FourEyes,
    NotADelegate,
    NotAnApprover,
    OnlyPeopleVote,
    UnknownApproval,
    VoteInvalid,
)
from people.models import Vote
from workflows import engine, store
from workflows.core import quorum
from workflows.core.kinds import Approval
from workflows.core.states import StepState
from workflows.graphs import graph_of
from workflows.models import ApprovalTask, StepRun
from workflows.privacy import sealing

#: characters of a comment
COMMENT_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Ballot:
    """What somebody wants to say. content_hash: of what they saw. via: the door."""

    voter: str
    choice: str
    content_hash: str
    via: str
    on_behalf_of: str = ""
    comment: str = ""
    form: Any = None


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of a vote. outcome: of the approval; '': it goes on. missing: seats that are empty, by group."""

    outcome: str
    missing: dict[str, int]


def vote(number: int, ballot: Ballot) -> Counted:
    """Take a vote.

    Raises UnknownApproval, OnlyPeopleVote, ApprovalEnded, ApprovalPaused, NotADelegate, NotAnApprover, FourEyes,
    AlreadyVoted, ContentChanged, VoteInvalid (every fault).
    """
    if not persons.is_person(ballot.voter):
        raise OnlyPeopleVote
    faults = _faults(ballot)
    task = retry.run(lambda _: task_of(number))
    faults += approval_of(task).form_faults(ballot.form)
    if faults:
        raise VoteInvalid(faults=faults)
    return retry.run(partial(_vote, task, ballot))


def task_of(number: int) -> ApprovalTask:
    """Raises UnknownApproval."""
    task = ApprovalTask.objects.filter(pk=number).first()
    if task is None:
        raise UnknownApproval
    return task


def approval_of(task: ApprovalTask) -> Approval:
    """What the definition says about it."""
    how = graph_of(task.version_id).steps[task.step].how
    assert isinstance(how, Approval)
    return how


def counted(votes: Sequence[Vote]) -> list[quorum.Vote]:
    """Votes as they are counted."""
    return [
        quorum.Vote(
            frozenset(one for one in (vote.voter, vote.on_behalf_of) if one),
            frozenset(vote.roles),
            vote.choice == "approve",
        )
        for vote in votes
    ]


def barred(task: ApprovalTask, *people: str) -> bool:
    """Whether one of these people is one of those who do not approve this."""
    return bool(set(people) & set(task.barred))


def _faults(ballot: Ballot) -> list[Fault]:
    faults: list[Fault] = []
    if ballot.choice not in ("approve", "refuse"):
        faults.append(Fault("choice", "must be approve or refuse"))
    if ballot.choice == "refuse" and not ballot.comment.strip():
        faults.append(Fault("comment", "is missing: say why it is refused"))
    if len(ballot.comment) > COMMENT_MAX:
        faults.append(Fault("comment", f"has more than {COMMENT_MAX:,} characters"))
    # Doors that read a form from a text, as the console does, may let through what no column can hold.
    return faults + json_values.faults(ballot.form, at="form")


def _vote(task: ApprovalTask, ballot: Ballot, attempt: Attempt) -> Counted:
    run_id = str(task.run_id)
    with transaction.atomic():
        store.lock_run(run_id)
        task = task_of(task.pk)
        how = approval_of(task)
        votes = list(task.votes.all())
        if attempt.unknown and any(_is(one, ballot) for one in votes):
            # The lost attempt of this request was committed.
            return Counted(task.outcome, how.quorum.missing(counted(votes)))
        if task.closed_at is not None:
            raise ApprovalEnded
        _still_waits(task)
        roles = _may_vote(task, how, ballot)
        people = {one for one in (ballot.voter, ballot.on_behalf_of) if one}
        if any(people & {vote.voter, vote.on_behalf_of} for vote in votes):
            raise AlreadyVoted
        if ballot.content_hash != task.content_hash:
            raise ContentChanged
        votes.append(
            Vote.objects.create(
                task=task,
                voter=ballot.voter,
                on_behalf_of=ballot.on_behalf_of,
                choice=ballot.choice,
                roles=sorted(roles),
                comment=ballot.comment,
                form=sealing.seal(task.workflow, run_id, how.form_parts, ballot.form),
                content_hash=ballot.content_hash,
                via=ballot.via,
            )
        )
        verdict = how.quorum.verdict(counted(votes))
        if verdict is None:
            return Counted("", how.quorum.missing(counted(votes)))
        answered = engine.answer_step(
            run_id,
            task.step,
            approved=verdict is quorum.Verdict.APPROVED,
            votes=[_recorded(one) for one in votes],
        )
        if not answered:
            raise ApprovalEnded
        return Counted(str(verdict), how.quorum.missing(counted(votes)))


def _is(vote: Vote, ballot: Ballot) -> bool:
    return (vote.voter, vote.on_behalf_of, vote.choice) == (ballot.voter, ballot.on_behalf_of, ballot.choice)


def _still_waits(task: ApprovalTask) -> None:
    state = StepRun.objects.filter(run=task.run_id, step=task.step, item=-1).values_list("state", flat=True).first()
    if state == StepState.PAUSED:
        raise ApprovalPaused
    if state != StepState.WAITING:
        raise ApprovalEnded


def _may_vote(task: ApprovalTask, how: Approval, ballot: Ballot) -> frozenset[str]:
    """The groups in which the vote counts."""
    groups = persons.groups_of_voter(ballot.voter)
    if ballot.voter not in groups:
        raise NotAnApprover
    if ballot.on_behalf_of and ballot.on_behalf_of not in groups:
        raise NotADelegate
    # The voter's own right was asked at the door. That of the other person is no wider because somebody stands in.
    if ballot.on_behalf_of and not persons.may_vote_in(ballot.on_behalf_of, task.workflow):
        raise NotAnApprover(f"{ballot.on_behalf_of} may not vote here, and so nobody may in their place.")
    roles = groups.get(ballot.on_behalf_of or ballot.voter, frozenset()) & how.quorum.roles
    if not roles:
        raise NotAnApprover
    if barred(task, ballot.voter, ballot.on_behalf_of):
        raise FourEyes
    return roles


def _recorded(vote: Vote) -> dict[str, Any]:
    """A vote in the step's output."""
    return {
        "by": vote.voter,
        "on_behalf_of": vote.on_behalf_of or None,
        "choice": vote.choice,
        "roles": vote.roles,
        "comment": vote.comment,
        "form": vote.form,
        "at": vote.at.isoformat(),
    }
