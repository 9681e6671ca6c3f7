"""What operations did: the engine's latest runs, and how past incidents were contained."""

from datetime import date

from django.db.models import Count, Q

from workflows.core.states import RunState
from workflows.library.models import PastIncident
from workflows.models import WorkflowRun


def ended_runs(latest: int) -> tuple[int, int]:
    """(ended, succeeded) of the latest ended runs. Cancelled ones are nobody's failure and not counted."""
    ends = (RunState.SUCCEEDED, RunState.FAILED, RunState.TIMED_OUT)
    states = list(
        WorkflowRun.objects.filter(finished_at__isnull=False, state__in=[str(end) for end in ends])
        .order_by("-id")
        .values_list("state", flat=True)[:latest]
    )
    return len(states), states.count(str(RunState.SUCCEEDED))


def contained(since: date, target_hours: float) -> tuple[int, int]:
    """(incidents, contained within the target) of those whose time to contain is known."""
    counts = PastIncident.objects.filter(occurred_on__gte=since, hours_to_contain__isnull=False).aggregate(
        all=Count("id"), in_time=Count("id", filter=Q(hours_to_contain__lte=target_hours))
    )
    return counts["all"], counts["in_time"]
