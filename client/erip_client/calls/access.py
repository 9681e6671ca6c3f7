"""Who may do what."""

from erip_client.models import AccessExplained

from .base import Call, given


def explain_access(action: str, *, principal: str | None = None, object: str | None = None) -> Call[AccessExplained]:
    """Why a caller may do something, or may not.

    action: a permission such as `workflows.start_run`, or a method and an address such as `POST /api/v1/runs/bulk`.
    principal: `user:NAME` or `key:NAME`; None: the caller of this key. object: `run:ID`, `workflow:NAME`,
    `schedule:NAME` or `space:NAME`; None: everything.
    """
    return Call(
        operation="explainAccess",
        method="GET",
        template="/api/v1/access/explain",
        query=given(action=action, principal=principal, object=object),
        answers={200: AccessExplained},
    )
