"""The items of a fan-out, in pages: with their states, and a way to say how one of unknown outcome ended."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode

from workflows import queries
from workflows.core.states import StepState
from workflows.errors import UnknownRun, UnknownStep

from .base import COLOURS, clock, json_block, span
from .telling import told

PAGE = 50


def show(page: ModelAdmin, request: HttpRequest, run_id: str, step: str, *, may_operate: bool) -> HttpResponse:
    """GET …/items/<step>/?state=FAILED&after=49. Whoever may see the run may see it."""
    state = request.GET.get("state") or None
    state = state if state in set(StepState) else None
    after = request.GET.get("after", "")
    cursor = int(after) if after.isascii() and after.isdecimal() and len(after) < 10 else None
    try:
        detail = queries.run_detail(run_id)
        found = queries.list_items(run_id, step, status=state, cursor=cursor, limit=PAGE)
    except (UnknownRun, UnknownStep) as error:
        raise Http404(str(error)) from error
    items = next((each["items"] for each in detail["steps"] if each["id"] == step), None)
    kept = page.opts.model_name
    here = reverse(f"admin:workflows_{kept}_items", args=[run_id, step])
    context = {
        **page.admin_site.each_context(request),
        "title": f"Items of {step}",
        "opts": page.opts,
        "run_url": reverse(f"admin:workflows_{kept}_change", args=[run_id]),
        "run": detail,
        "step": step,
        "states": _states(items, here, state),
        "rows": [_row(item, run_id, step, kept, may_operate) for item in found.items],
        "first_url": _url(here, state, None) if cursor is not None else "",
        "next_url": _url(here, state, found.next_cursor) if found.next_cursor is not None else "",
    }
    return TemplateResponse(request, "admin/workflows/items.html", context)


def _states(items: dict[str, Any] | None, here: str, chosen: str | None) -> list[dict[str, Any]]:
    if not items:
        return []
    counts = [("", "all", items["total"]), *((state, state, count) for state, count in items["by_status"].items())]
    return [
        {"title": title, "count": count, "url": _url(here, state or None, None), "chosen": (state or None) == chosen}
        for state, title, count in counts
    ]


def _url(here: str, state: str | None, after: str | None) -> str:
    values = {name: value for name, value in (("state", state), ("after", after)) if value is not None}
    return f"{here}?{urlencode(values)}" if values else here


def _row(item: dict[str, Any], run_id: str, step: str, kept: str | None, may_operate: bool) -> dict[str, Any]:
    state = str(item["status"])
    resolve = ""
    if may_operate and state == StepState.UNKNOWN and kept == "workflowrun":
        resolve = reverse("admin:workflows_workflowrun_resolve", args=[run_id, step]) + f"?item={item['item']}"
    return {
        "item": item["item"],
        "state": state,
        "colour": COLOURS.get(state, "default"),
        "attempt": item["attempt"] or "-",
        "worker": item["worker"] or "-",
        "started": clock(item["started_at"]),
        "took": span(item["started_at"], item["finished_at"]),
        "error": told(item["error"]),
        "input": json_block(item["input"]) if item["input"] is not None else "",
        "output": json_block(item["output"]) if item["output"] is not None else "",
        "resolve": resolve,
    }
