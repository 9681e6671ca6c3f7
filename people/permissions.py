"""What people may do with approvals. Who may vote on which one is decided by its groups, besides."""

from erip.access.catalog import APPROVER, OPERATORS, VIEWERS, permission
from people import spaces  # noqa: F401  (registers what belongs to a space)

_VOTERS = OPERATORS | {APPROVER}

permission("workflows.view_approvaltask", "see approvals, what they ask for, and the votes", VIEWERS)
permission("people.add_vote", "vote, ask and look after approvals, where one of the person's groups is asked", _VOTERS)
permission("people.view_delegation", "see who votes in whose place", VIEWERS)
permission("people.add_delegation", "let somebody else vote in one's own place", _VOTERS)
