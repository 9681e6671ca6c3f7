"""What the page of a run shows: why it failed, what belongs to it, its timeline, its steps and its events."""

from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from erip.foundation.hooks import Related, related_to_run
from workflows import queries
from workflows.core.states import StepState
from workflows.errors import UnknownRun
from workflows.explain import explain_run
from workflows.models import find_run

from .base import COLOURS, clock, json_block, span
from .telling import failures, told

#: failed attempts that are shown one by one; all are among the events
FAILURES = 20
#: the timeline is drawn on so many parts
WIDTH = 1000


def context_of(request: HttpRequest, run_id: str, *, kept: str) -> dict[str, Any]:
    """For `admin/workflows/run.html`. kept: the name of the model's pages. Raises UnknownRun."""
    events = queries.run_events(run_id)
    try:
        detail = queries.run_detail(run_id)
        waiting = None if detail["finished_at"] else explain_run(run_id)
    except UnknownRun:
        raise
    except Exception as error:
        # A version that this release cannot read: everything that does not need it is still shown.
        return {"unreadable": f"{type(error).__name__}: {error}", **_of_row(run_id), "events": _events(events)}
    failed = list(islice(failures(events), FAILURES + 1))
    return {
        "run": detail,
        "run_colour": COLOURS.get(detail["status"], "default"),
        "run_took": span(detail["created_at"], detail["finished_at"]),
        "error": told(detail["error"]),
        "failures": failed[:FAILURES],
        "more_failures": len(failed) > FAILURES,
        "unknown": [_unknown(step, run_id, kept) for step in detail["steps"] if _is_unknown(step)],
        "waiting": waiting,
        "related": related(request, detail),
        "timeline": timeline(detail),
        "steps": [_step(step, run_id, kept) for step in detail["steps"]],
        "events": _events(events),
    }


def related(request: HttpRequest, run: Mapping[str, Any]) -> list[Related]:
    """Its retries first, then what the apps know of it."""
    lineage = (("Retry of", run.get("retry_of")), ("Retried as", run.get("retried_as")))
    own = [
        Related(f"{title} {other}", reverse("admin:workflows_workflowrun_change", args=[other]))
        for title, other in lineage
        if other
    ]
    return own + [one for find in related_to_run.all() for one in find(request, run)]


def timeline(run: Mapping[str, Any], now: datetime | None = None) -> dict[str, Any]:
    """One bar for each step, from the moment at which the run was accepted. What still runs lasts until now."""
    start = _time(run["created_at"])
    assert start is not None
    now = now or timezone.now()
    rows = []
    for step in sorted(run["steps"], key=lambda step: (step["started_at"] is None, step["started_at"])):
        began, ended = _time(step["started_at"]), _time(step["finished_at"])
        going_on = began is not None and ended is None and not run["finished_at"]
        until = ended or (now if going_on else None)
        rows.append((step, began, until, going_on))
    ends = [(until - start).total_seconds() for _, _, until, _ in rows if until is not None]
    whole = max([0.001, *ends])
    return {
        "whole": _seconds(whole),
        "rows": [_bar(step, start, began, until, going_on, whole) for step, began, until, going_on in rows],
    }


def _bar(
    step: Mapping[str, Any],
    start: datetime,
    began: datetime | None,
    until: datetime | None,
    going_on: bool,
    whole: float,
) -> dict[str, Any]:
    state = str(step["status"])
    notes = [f"attempt {step['attempt']}"] if (step["attempt"] or 0) > 1 else []
    notes += [items_line(step["items"])] if step["items"] else []
    notes += [] if step["essential"] else ["after the outcome"]
    row = {
        "id": step["id"],
        "state": state,
        "colour": COLOURS.get(state, "default"),
        "notes": ", ".join(notes),
        "worker": step["worker"] or "",
        "began": _seconds((began - start).total_seconds()) if began else "",
        "took": "",
        "x": None,
    }
    if began is not None and until is not None:
        offset = min(max((began - start).total_seconds(), 0.0), whole)
        long = max((until - began).total_seconds(), 0.0)
        x = min(round(offset / whole * WIDTH), WIDTH - 6)
        row |= {
            "took": _seconds(long) + (" so far" if going_on else ""),
            "x": x,
            "width": max(6, min(WIDTH - x, round(long / whole * WIDTH))),
        }
    return row


def items_line(items: Mapping[str, Any]) -> str:
    """The progress of a fan-out: "1,000 items: 990 SUCCEEDED, 10 RUNNING"."""
    states = ", ".join(f"{count:,} {state}" for state, count in items["by_status"].items())
    many = "1 item" if items["total"] == 1 else f"{items['total']:,} items"
    return many + (f": {states}" if states else "")


def outcome(step: Mapping[str, Any]) -> Any:
    """A step's output; of a fan-out without those of its items, which have a page of their own."""
    if step["items"] and isinstance(step["output"], dict):
        return {key: value for key, value in step["output"].items() if key != "results"} or None
    return step["output"]


def _step(step: Mapping[str, Any], run_id: str, kept: str) -> dict[str, Any]:
    state = str(step["status"])
    return {
        "id": step["id"],
        "uses": step["uses"] or step["kind"],
        "state": state,
        "colour": COLOURS.get(state, "default"),
        "attempt": step["attempt"],
        "worker": step["worker"],
        "needs": ", ".join(step["needs"]),
        "started": clock(_time(step["started_at"])),
        "took": span(_time(step["started_at"]), _time(step["finished_at"])),
        "waits_for": step["waits_for"],
        "error": told(step["error"]),
        "items": items_line(step["items"]) if step["items"] else "",
        "items_url": _page(kept, "items", run_id, step["id"]) if step["items"] else "",
        "input": json_block(step["input"]) if step["input"] is not None else "",
        "output": json_block(outcome(step)) if outcome(step) is not None else "",
    }


def _is_unknown(step: Mapping[str, Any]) -> bool:
    return step["status"] == StepState.UNKNOWN or bool(step["items"] and step["items"]["by_status"].get("UNKNOWN"))


def _unknown(step: Mapping[str, Any], run_id: str, kept: str) -> dict[str, str]:
    """A step, or a fan-out with items, whose outcome a person has to say."""
    if step["status"] == StepState.UNKNOWN:
        return {"id": step["id"], "url": _page(kept, "resolve", run_id, step["id"]), "of": ""}
    count = step["items"]["by_status"]["UNKNOWN"]
    url = _page(kept, "items", run_id, step["id"]) + "?state=UNKNOWN"
    return {"id": step["id"], "url": url, "of": f"{count:,} item{'s' if count != 1 else ''}"}


def _page(kept: str, page: str, run_id: str, step: str) -> str:
    try:
        return reverse(f"admin:workflows_{kept}_{page}", args=[run_id, step])
    except NoReverseMatch:
        return ""


def _events(events: list[dict[str, Any]]) -> dict[str, Any]:
    rows = []
    for event in events:
        detail = event["detail"]
        if isinstance(detail, Mapping):
            # A trace is shown with its failure.
            detail = {key: value for key, value in detail.items() if key != "trace"}
        what = f"{event['step']}[{event['item']}]" if event["item"] is not None else event["step"] or "-"
        rows.append([clock(_time(event["at"])), event["type"], what, json_block(detail or None)])
    return {"headers": ["At", "What", "Step", "Detail"], "rows": rows}


def _of_row(run_id: str) -> dict[str, Any]:
    run = find_run(run_id)
    return {"error": told(run.error) if run else None}


def _time(value: Any) -> datetime | None:
    return parse_datetime(value) if isinstance(value, str) else value


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:,.0f}\u00a0ms"
    if seconds < 120:
        return f"{seconds:,.1f}\u00a0s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:,.0f}\u00a0min"
    return f"{seconds / 3600:,.1f}\u00a0h" if seconds < 2 * 86_400 else f"{seconds / 86_400:,.1f}\u00a0d"
