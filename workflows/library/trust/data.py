"""What operations did: the engine's latest runs, and how past incidents were contained."""

from datetime import date

from django.db.models import Count, Q

from workflows.core.states import RunState
from workflows.library.cache import of_this_second
from workflows.library.nexus.data import past_incidents
from workflows.models import WorkflowRun

# Cancelled runs are nobody's failure, and do not count.
_ENDS = [str(end) for end in (RunState.SUCCEEDED, RunState.FAILED, RunState.TIMED_OUT)]


def ended_runs(latest: int) -> tuple[int, int]:
    """(ended, succeeded) of the latest ended runs, as of at most a second ago."""
    # A flood of trust scores causes one query a second, not one for each score: the answer hardly differs.
    return of_this_second(("ended_runs", latest), lambda: _ended_runs(latest))


def _ended_runs(latest: int) -> tuple[int, int]:
    ended = WorkflowRun.objects.filter(finished_at__isnull=False, state__in=_ENDS).order_by("-id")[:latest]
    counts = ended.aggregate(all=Count("id"), succeeded=Count("id", filter=Q(state=str(RunState.SUCCEEDED))))
    return counts["all"], counts["succeeded"]


def contained(since: date, target_hours: float) -> tuple[int, int]:
    """(incidents, contained within the target) of those whose time to contain is known."""
    hours = [
        one.hours_to_contain
        for one in past_incidents()
        if one.occurred_on >= since and one.hours_to_contain is not None
    ]
    return len(hours), sum(needed <= target_hours for needed in hours)
