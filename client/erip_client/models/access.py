"""Why a caller may do something, or may not; and API keys."""

from datetime import datetime

from .base import Document


class AccessBecause(Document):
    """Something that gives a permission. through: the group that has it. space: "" is everything."""

    kind: str
    role: str
    through: str
    space: str
    permission: str


class PermissionExplained(Document):
    """A permission that the action needs. roles: the built-in ones that have it."""

    permission: str
    meaning: str
    allowed: bool
    because: list[AccessBecause]
    roles: list[str]


class AccessExplained(Document):
    """Whether a caller may do something. spaces: where; None: everywhere."""

    principal: str
    action: str
    object: str
    allowed: bool
    closed: str
    spaces: list[str] | None
    permissions: list[PermissionExplained]
    sentence: str


class ApiKey(Document):
    """What is known of an API key. owner: None: unknown. rate: requests a minute. old_until: of the secret before."""

    number: int
    name: str
    prefix: str
    owner: str | None
    scope: str
    status: str
    networks: list[str]
    rate: int | None
    sources: list[str]
    types: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    rotated_at: datetime | None
    rotated_by: str
    old_until: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class ApiKeyMade(ApiKey):
    """key: the whole key; nobody is shown it again."""

    key: str


class BreakGlass(Document):
    """Emergency access. state: asked, lapsed, withdrawn, active, ended or reviewed."""

    number: int
    state: str
    asked_by: str
    asked_at: datetime
    permissions: list[str]
    reason: str
    minutes: int
    granted_by: str
    granted_at: datetime | None
    ends_at: datetime | None
    ended_at: datetime | None
    ended_by: str
    reviewed_by: str
    reviewed_at: datetime | None
    review: str
