"""The spaces of approvals: those of the workflows whose runs ask for them. Note [Spaces] in `erip.access.spaces`."""

from erip.access.spaces import kind
from erip.foundation.db.retry import retry_transaction
from people.errors import UnknownApproval
from workflows.engine.spaces import of_workflow
from workflows.models import ApprovalTask


@kind("approval", UnknownApproval)
@retry_transaction
def of_approval(number: str) -> str | None:
    if not (number.isascii() and number.isdigit() and len(number) <= 18):
        return None
    workflow = ApprovalTask.objects.filter(pk=int(number)).values_list("workflow", flat=True).first()
    return None if workflow is None else of_workflow(workflow) or ""
