"""What can go wrong with approvals, as facts: part of the tree that the API maps once."""

from workflows.errors import WorkflowsError


class PeopleError(WorkflowsError):
    """Something about approvals went wrong."""

    code = "people_error"


class UnknownApproval(PeopleError):
    """There is no approval of that id. `GET /api/v1/approvals` lists those that wait for you."""

    code = "unknown_approval"
    status = 404


class UnknownDelegation(PeopleError):
    """There is no delegation of that id."""

    code = "unknown_delegation"
    status = 404


class ApprovalEnded(PeopleError):
    """The approval has been decided, has expired, or was withdrawn with its run."""

    code = "approval_ended"
    status = 409


class ApprovalPaused(PeopleError):
    """The run is paused. Vote when it goes on."""

    code = "approval_paused"
    status = 409


class OnlyPeopleVote(PeopleError):
    """A key cannot vote: only a person who is signed in can."""

    code = "only_people_vote"
    status = 403


class NotAnApprover(PeopleError):
    """You are in none of the groups that are asked."""

    code = "not_an_approver"
    status = 403


class FourEyes(PeopleError):
    """Whoever started a run, owns the key that started it, or published its definition does not approve it."""

    code = "four_eyes"
    status = 403


class NotADelegate(PeopleError):
    """That person has not delegated to you, or no longer."""

    code = "not_a_delegate"
    status = 403


class AlreadyVoted(PeopleError):
    """You, or the person in whose place you vote, have voted already. Each person counts once."""

    code = "already_voted"
    status = 409


class ContentChanged(PeopleError):
    """What you saw is not what is to be approved. Read it again, and vote with its `content_hash`."""

    code = "content_changed"
    status = 409


class VoteInvalid(PeopleError):
    """The vote is not valid. Fix what `faults` names, and send it again."""

    code = "vote_invalid"
    status = 422


class DelegationInvalid(PeopleError):
    """The delegation is not valid. Fix what `faults` names, and send it again."""

    code = "delegation_invalid"
    status = 422


class LinkInvalid(PeopleError):
    """The link is not valid, or no longer: it has expired, was used, or its person may not vote by it any more.
    Sign in to vote."""

    code = "link_invalid"
    status = 410
