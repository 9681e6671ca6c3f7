"""Batches: operations on many runs, how far they are, and what became of each run."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from workflows import operations
from workflows.errors import UnknownBatch
from workflows.models import RunBatch
from workflows.operations import OUTCOMES

from .base import ShowOnly, json_block, moment

#: runs on one page
_SHOWN = 100


@admin.register(RunBatch)
class BatchAdmin(ShowOnly):
    """Who may see runs may see what was done to them."""

    list_display = ["id", "operation", "status_label", "total", "created_by", "created", "reason"]
    fields = [
        "operation", "status_label", "waits_for", "total", "reason", "created_by", "created_at", "finished_at", "of",
    ]  # fmt: skip
    readonly_fields = ["status_label", "of"]
    ordering = ["-id"]
    sortable_by: list[str] = []
    list_fullwidth = True
    change_form_outer_after_template = "admin/workflows/batch.html"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        user = request.user
        return user.has_perm("workflows.view_workflowrun") or user.has_perm("workflows.change_workflowrun")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    @display(description="Status", label={"working": "info", "waiting": "warning", "done": "success"})
    def status_label(self, batch: RunBatch) -> str:
        return operations.status_of(batch)

    @display(description="Created")
    def created(self, batch: RunBatch) -> str:
        return moment(batch.created_at)

    @display(description="Filter")
    def of(self, batch: RunBatch) -> SafeString | str:
        return json_block(batch.filter)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = dict(extra_context or {})
        # The page says itself that there is no such batch.
        with suppress(ValueError, UnknownBatch):
            context |= _progress(request, str(UUID(object_id)))
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response


def _progress(request: HttpRequest, batch_id: str) -> dict[str, Any]:
    outcome, cursor = request.GET.get("outcome"), request.GET.get("cursor")
    try:
        cursor = str(UUID(cursor)) if cursor else None
    except ValueError:
        cursor = None
    page = operations.list_batch_runs(
        batch_id, outcome=outcome if outcome in OUTCOMES else None, cursor=cursor, limit=_SHOWN
    )
    rows = [
        [_link(each["run"]), each["outcome"], _link(each["result"]), each["detail"] or "", moment(each["at"])]
        for each in page.items
    ]
    return {
        "outcomes": operations.batch_document(batch_id)["outcomes"],
        "outcome": outcome,
        "runs": {"headers": ["Run", "Outcome", "New run", "Detail", "At"], "rows": rows},
        "next_cursor": page.next_cursor,
    }


def _link(run_id: str | None) -> SafeString | str:
    if run_id is None:
        return "-"
    address = reverse("admin:workflows_workflowrun_change", args=[run_id])
    return format_html('<a class="text-primary-600 dark:text-primary-400" href="{}">{}</a>', address, run_id)
