"""Why a caller may do something, or may not."""

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
