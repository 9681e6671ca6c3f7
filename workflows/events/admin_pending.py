"""Pending starts in the admin: what each waits for; start it now, or discard it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from workflows.admin.base import ShowOnly, for_each, json_block, moment, principal_of
from workflows.events import pending
from workflows.events.models import PendingStart


@admin.register(PendingStart)
class PendingStartAdmin(ShowOnly):
    list_display = ["id", "workflow", "trigger", "business_key", "count", "since_shown", "due_shown", "problem"]
    list_filter = ["workflow"]
    search_fields = ["workflow", "business_key"]
    fields = [
        "workflow", "trigger", "business_key", "waits_for", "count", "size", "since_shown", "due_shown", "problem",
        "rule_shown", "places",
    ]  # fmt: skip
    readonly_fields = ["waits_for", "since_shown", "due_shown", "rule_shown", "places"]
    actions = ["start_now", "discard"]

    @display(description="Waits for")
    def waits_for(self, row: PendingStart) -> str:
        return pending.sentence(row)

    @display(description="Since")
    def since_shown(self, row: PendingStart) -> str:
        return moment(row.since)

    @display(description="Due")
    def due_shown(self, row: PendingStart) -> str:
        return moment(row.due_at)

    @display(description="Rule")
    def rule_shown(self, row: PendingStart) -> SafeString | str:
        return json_block(row.rule)

    @display(description="Events in the log")
    def places(self, row: PendingStart) -> str:
        found = row.events.order_by("logged_at", "partition", "position").values_list("partition", "position")[:100]
        return ", ".join(f"{partition}-{position}" for partition, position in found)

    @action(description="Start now", permissions=["change_it"])
    def start_now(self, request: HttpRequest, queryset: QuerySet[PendingStart]) -> None:
        self._each(request, queryset, pending.start, "started")

    @action(description="Discard", permissions=["change_it"])
    def discard(self, request: HttpRequest, queryset: QuerySet[PendingStart]) -> None:
        by = principal_of(request)
        self._each(request, queryset, lambda id_: pending.discard(id_, by=by), "discarded")

    def has_change_it_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return bool(request.user.has_perm("events.change_pendingstart"))

    @staticmethod
    def _each(request: HttpRequest, chosen: QuerySet[PendingStart], do: Any, done: str) -> None:
        ids = [str(pk) for pk in chosen.values_list("pk", flat=True)]
        for_each(request, ids, do, lambda count: f"{count} {done}.")
