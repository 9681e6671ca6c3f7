"""The spaces of legal clocks: those of their workflows. Note [Spaces] in `erip.access.spaces`."""

from erip.access.spaces import kind
from erip.foundation.db.retry import retry_transaction
from workflows.clocks.errors import UnknownClock
from workflows.clocks.models import LegalClock
from workflows.engine.spaces import of_workflow


@kind("clock", UnknownClock)
@retry_transaction
def of_clock(number: str) -> str | None:
    workflow = LegalClock.objects.filter(pk=int(number)).values_list("workflow", flat=True).first()
    return None if workflow is None else of_workflow(workflow) or ""
