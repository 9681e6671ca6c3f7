"""The event bus in the admin: what waits, what could not be done, how much a source may send, and the log."""

from collections.abc import Sequence
from typing import Any

import orjson
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

from workflows.admin.base import ShowOnly, for_each, json_block, principal_of
from workflows.events import admin_pending, admin_rules, admin_subscriptions, letters  # noqa: F401  (registers its pages)
from workflows.events.models import Consumer, DeadLetter, LogEntry, Partition, SourceQuota, SourceUsage
from workflows.events.queries import status


@admin.register(Partition)
class PartitionAdmin(ShowOnly):
    list_display = ["number", "owner", "lag", "speed", "position", "epoch", "consumed_at"]
    list_fullwidth = True
    list_per_page = 200

    def get_queryset(self, request: HttpRequest) -> QuerySet[Partition]:
        # All are read together, once for each page.
        self._status = {one["partition"]: one for one in status()["partitions"]}
        rows: QuerySet[Partition] = super().get_queryset(request)
        return rows

    @display(description="Owner")
    def owner(self, partition: Partition) -> str:
        return str(self._of(partition)["owner"] or "nobody")

    @display(description="Lag")
    def lag(self, partition: Partition) -> int:
        return int(self._of(partition)["lag"])

    @display(description="Events/s")
    def speed(self, partition: Partition) -> float:
        return float(self._of(partition)["rate"])

    def _of(self, partition: Partition) -> dict[str, Any]:
        found: dict[str, Any] = self._status.get(partition.number, {"owner": None, "lag": 0, "rate": 0.0})
        return found


@admin.register(Consumer)
class ConsumerAdmin(ShowOnly):
    list_display = ["worker_id", "joined_at", "heartbeat_at", "rate"]


@admin.register(DeadLetter)
class DeadLetterAdmin(ShowOnly):
    list_display = ["id", "at", "type", "source", "effect", "target", "code", "attempts", "status"]
    list_filter = ["resolution", "effect", "code"]
    search_fields = ["type", "source", "event_id"]
    fields = [
        "at", "status", "effect", "target", "code", "message", "attempts", "partition", "position", "block", "offset",
        "sender", "shown", "resolved_at", "resolved_by",
    ]  # fmt: skip
    readonly_fields = ["status", "shown"]
    actions = ["retry", "discard"]
    list_fullwidth = True

    @display(description="Status", label={"open": "danger", "retried": "success", "discarded": "default"})
    def status(self, letter: DeadLetter) -> str:
        return letter.resolution or "open"

    @display(description="Event")
    def shown(self, letter: DeadLetter) -> SafeString | str:
        return json_block(orjson.loads(letter.event))

    @action(description="Try again", permissions=["resolve"])
    def retry(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        self._resolve(request, queryset, letters.retry, "handed back to their consumers")

    @action(description="Discard", permissions=["resolve"])
    def discard(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> None:
        self._resolve(request, queryset, letters.discard, "discarded")

    def has_resolve_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return bool(request.user.has_perm("events.change_deadletter"))

    @staticmethod
    def _resolve(request: HttpRequest, chosen: QuerySet[DeadLetter], resolve: Any, done: str) -> None:
        by = principal_of(request)
        for_each(
            request,
            chosen.values_list("pk", flat=True),
            lambda letter_id: resolve(letter_id, by=by),
            lambda count: f"{count} {done}.",
        )


class QuotaForm(ModelForm):
    def clean(self) -> Any:
        cleaned = super().clean()
        if not any((cleaned or self.cleaned_data).get(name) for name in ("rate", "daily")):
            raise ValidationError("Say how many events a second, or a day, or both.")
        return cleaned


@admin.register(SourceQuota)
class SourceQuotaAdmin(ModelAdmin):
    form = QuotaForm
    list_display = ["source", "rate", "burst", "daily"]
    search_fields = ["source"]


@admin.register(SourceUsage)
class SourceUsageAdmin(ShowOnly):
    list_display = ["source", "tokens", "at", "day", "sent"]
    search_fields = ["source"]


class _Newest(Paginator):
    """Pages through the newest MOST rows, and counts no more than those."""

    MOST = 10_000

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[: self.MOST].count())


@admin.register(LogEntry)
class LogAdmin(ShowOnly):
    """The newest events. It counts nothing and sorts by nothing else: the log may have a billion rows."""

    list_display = ["place", "logged_at", "type", "source", "subject", "event_id", "sender"]
    list_filter: Sequence[Any] = []
    search_fields = ["=type", "=source", "=subject"]
    search_help_text = "A whole type, source or subject."
    fields = ["place", "logged_at", "accepted_at", "type", "source", "subject", "event_id", "sender", "shown"]
    readonly_fields = ["place", "shown"]
    ordering = ["-logged_at", "-partition", "-position"]
    sortable_by: Sequence[str] = []
    show_full_result_count = False
    paginator = _Newest
    list_fullwidth = True
    list_per_page = 50

    @display(description="Place")
    def place(self, entry: LogEntry) -> str:
        return f"{entry.partition}-{entry.position}"

    @display(description="Event")
    def shown(self, entry: LogEntry) -> SafeString | str:
        return json_block(orjson.loads(entry.event))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> LogEntry | None:
        partition, _, position = object_id.partition("-")
        if not (partition.isdigit() and position.isdigit()):
            return None
        return LogEntry.objects.filter(partition=int(partition), position=int(position[:18])).first()
