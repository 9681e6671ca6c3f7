"""The spaces of schedules: those of the workflows that they start. Note [Spaces] in `erip.access.spaces`."""

from erip.access.spaces import kind
from erip.foundation.db.retry import retry_transaction
from schedules.errors import UnknownSchedule
from schedules.models import Schedule
from workflows.engine.spaces import of_workflow


@kind("schedule", UnknownSchedule)
@retry_transaction
def of_schedule(name: str) -> str | None:
    schedule = Schedule.objects.filter(name=name).first()
    if schedule is None:
        return None
    latest = schedule.versions.order_by("-number").first()
    document = latest.document if latest is not None else None
    workflow = document.get("workflow") if isinstance(document, dict) else None
    return (of_workflow(workflow) or "") if isinstance(workflow, str) else ""
