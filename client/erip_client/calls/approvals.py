"""Approvals: what waits for people, votes, questions, delegations."""

from datetime import datetime

from erip_client.models import Approval, ApprovalDetail, Delegation, Page, QuestionAsked, Voted
from erip_client.models.base import Json

from .base import Call, given, moment, to_json

_ONE = "/api/v1/approvals/{number}"


def list_approvals(
    *, assignee: str | None = None, state: str | None = None, cursor: str | None = None, limit: int | None = None
) -> Call[Page[Approval]]:
    """A page of approvals: those that are open, oldest first, or with state="ended" the others, newest first."""
    return Call(
        operation="listApprovals",
        method="GET",
        template="/api/v1/approvals",
        query=given(assignee=assignee, state=state, cursor=cursor, limit=limit),
        answers={200: Page[Approval]},
    )


def get_approval(number: int) -> Call[ApprovalDetail]:
    """An approval: what is asked, who has voted, and whether the caller may."""
    return Call(
        operation="getApproval",
        method="GET",
        template=_ONE,
        path={"number": str(number)},
        answers={200: ApprovalDetail},
    )


def vote(
    number: int,
    choice: str,
    content_hash: str,
    *,
    comment: str = "",
    form: Json = None,
    on_behalf_of: str | None = None,
    idempotency_key: str | None = None,
) -> Call[Voted]:
    """Vote: "approve" or "refuse". Only a person can: an API key is refused."""
    body = {"choice": choice, "content_hash": content_hash, "comment": comment}
    return Call(
        operation="vote",
        method="POST",
        template=f"{_ONE}/votes",
        path={"number": str(number)},
        content=to_json(
            {
                **body,
                **({} if form is None else {"form": form}),
                **({} if on_behalf_of is None else {"on_behalf_of": on_behalf_of}),
            }
        ),
        answers={200: Voted},
        keyed=True,
        key=idempotency_key,
    )


def claim_approval(number: int, *, idempotency_key: str | None = None) -> Call[ApprovalDetail]:
    """Say that the caller looks after it."""
    return Call(
        operation="claimApproval",
        method="POST",
        template=f"{_ONE}/claim",
        path={"number": str(number)},
        answers={200: ApprovalDetail},
        keyed=True,
        key=idempotency_key,
    )


def release_approval(number: int) -> Call[None]:
    """Say that nobody looks after it."""
    return Call(
        operation="releaseApproval",
        method="DELETE",
        template=f"{_ONE}/claim",
        path={"number": str(number)},
        answers={204: None},
    )


def ask_approval(number: int, text: str, *, idempotency_key: str | None = None) -> Call[QuestionAsked]:
    """Ask or answer something before voting."""
    return Call(
        operation="askApproval",
        method="POST",
        template=f"{_ONE}/questions",
        path={"number": str(number)},
        content=to_json({"text": text}),
        answers={201: QuestionAsked},
        keyed=True,
        key=idempotency_key,
    )


def list_delegations(*, cursor: str | None = None, limit: int | None = None) -> Call[Page[Delegation]]:
    """A page of delegations, newest first."""
    return Call(
        operation="listDelegations",
        method="GET",
        template="/api/v1/delegations",
        query=given(cursor=cursor, limit=limit),
        answers={200: Page[Delegation]},
    )


def delegate(
    to: str,
    ends_at: datetime,
    *,
    starts_at: datetime | None = None,
    reason: str = "",
    idempotency_key: str | None = None,
) -> Call[Delegation]:
    """Let somebody else vote in the caller's place."""
    more = {} if starts_at is None else {"starts_at": moment(starts_at)}
    return Call(
        operation="delegate",
        method="POST",
        template="/api/v1/delegations",
        content=to_json({"to": to, "ends_at": moment(ends_at), "reason": reason, **more}),
        answers={201: Delegation},
        keyed=True,
        key=idempotency_key,
    )


def revoke_delegation(number: int) -> Call[Delegation]:
    """End a delegation now."""
    return Call(
        operation="revokeDelegation",
        method="DELETE",
        template="/api/v1/delegations/{number}",
        path={"number": str(number)},
        answers={200: Delegation},
    )
