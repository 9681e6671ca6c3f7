"""Approvals, votes, and who votes in whose place."""

from datetime import datetime

from .base import Document, Json


class Approval(Document):
    """due_at: when it expires, which never approves; None: never. missing: seats that are empty, by group; None:
    unknown. outcome: approved, refused, expired, withdrawn; "": it is open."""

    id: int
    run: str
    step: str
    workflow: str
    business_key: str | None
    title: str
    roles: list[str]
    missing: dict[str, int] | None
    opened_at: datetime
    due_at: datetime | None
    claimed_by: str
    closed_at: datetime | None
    outcome: str


class VoteCast(Document):
    """choice: approve or refuse. via: the door that it came through."""

    by: str
    on_behalf_of: str | None
    choice: str
    roles: list[str]
    comment: str
    form: Json
    via: str
    at: datetime


class QuestionAsked(Document):
    by: str
    text: str
    at: datetime


class ApprovalDetail(Approval):
    """content: what is to be approved; content_hash: its SHA-256, which a vote names."""

    content: Json
    content_hash: str
    form: Json
    barred: list[str]
    you_may_vote: bool
    you_may_vote_for: list[str]
    votes: list[VoteCast]
    questions: list[QuestionAsked]


class Voted(Document):
    """outcome: of the approval; "": it goes on."""

    outcome: str
    missing: dict[str, int]


class Delegation(Document):
    id: int
    delegator: str
    delegate: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    made_by: str
    revoked_at: datetime | None
