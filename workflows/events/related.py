"""What the event bus knows of a run, for its page in the admin: the event that started it."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.urls import reverse

from erip.foundation.hooks import Related, related_to_run
from workflows.core.lifecycle import STARTED_BY_EVENT
from workflows.events import links
from workflows.events.errors import NotStartedByEvent


@related_to_run
def trigger_event(request: Any, run: Mapping[str, Any]) -> Iterator[Related]:
    """Runs that no event started are not looked up."""
    user = request.user
    if not str(run["started_by"]).startswith(STARTED_BY_EVENT) or not user.has_perm("events.view_logentry"):
        return
    try:
        found = links.event_of(run["id"])
    except NotStartedByEvent:
        return
    where = reverse("admin:events_logentry_change", args=[found["position"]]) if found["event"] is not None else ""
    gone = "" if where else " (the log does not have it any more)"
    yield Related(f"Started by event {found['position']} through {found['trigger']}{gone}", where)
