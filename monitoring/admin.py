"""PULSE in the admin: errors in groups."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminTextInputWidget

from monitoring import admin_alerts, store  # noqa: F401  (registers its pages)
from monitoring.conf import conf
from monitoring.core.groups import read_links
from monitoring.models import ErrorGroup
from workflows.admin.base import ShowOnly, moment, principal_of

#: pages of what an error happened to
_PAGES = {
    "run": "admin:workflows_workflowrun_change",
    "dead_letter": "admin:events_deadletter_change",
    "delivery": "admin:events_delivery_change",
}


class WithReason(ActionForm):
    reason = forms.CharField(
        label="",
        max_length=1_000,
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Reason", "aria-label": "Reason"}),
    )


@admin.register(ErrorGroup)
class ErrorGroupAdmin(ShowOnly):
    list_display = ["title", "now", "count", "last_seen", "what", "last_definition"]
    list_filter = ["state", "regression", "source"]
    search_fields = ["title", "what", "code", "first_definition", "last_definition"]
    fields = [
        "title", "now", "count", "what", "place", "first_seen", "last_seen", "releases", "definitions", "parts",
        "seen_in", "traced", "reason", "changed_by", "changed_at", "resolved_at", "resolved_release",
        "resolved_workflow", "resolved_version", "regressions", "regressed_at",
    ]  # fmt: skip
    readonly_fields = ["now", "releases", "definitions", "parts", "seen_in", "traced"]
    actions = ["resolve", "ignore", "reopen"]
    action_form = WithReason
    list_fullwidth = True

    @display(
        description="State",
        ordering="state",
        label={"open": "warning", "regression": "danger", "resolved": "success", "ignored": "default"},
    )
    def now(self, group: ErrorGroup) -> str:
        return "regression" if group.regression else group.state

    @display(description="Releases")
    def releases(self, group: ErrorGroup) -> str:
        return _from_to(group.first_release, group.last_release)

    @display(description="Definitions")
    def definitions(self, group: ErrorGroup) -> str:
        return _from_to(group.first_definition, group.last_definition)

    @display(description="One kind because they share")
    def parts(self, group: ErrorGroup) -> SafeString:
        return format_html_join("", "<div><b>{}</b> {}</div>", ((name, value) for name, value in group.why))

    @display(description="Seen in")
    def seen_in(self, group: ErrorGroup) -> SafeString | str:
        rows = []
        for link in read_links(group.links):
            shown: SafeString | str = f"{link.kind} {link.id}"
            if link.kind in _PAGES:
                # An id of another form leads nowhere.
                with suppress(NoReverseMatch):
                    shown = format_html('<a href="{}">{}</a>', reverse(_PAGES[link.kind], args=[link.id]), shown)
            rows.append((shown, moment(link.at), link.detail))
        return format_html_join("", "<div>{} · {} · {}</div>", rows) or "-"

    @display(description="Traceback")
    def traced(self, group: ErrorGroup) -> SafeString | str:
        return format_html('<pre class="erip-code">{}</pre>', group.traceback) if group.traceback else "-"

    @action(description="Resolve: it is fixed", permissions=["decide"])
    def resolve(self, request: HttpRequest, queryset: QuerySet[ErrorGroup]) -> None:
        def one(number: int, by: str, reason: str) -> bool:
            return store.resolve_group(
                number, by=by, reason=reason, under=conf().release, release=None, definition=None
            )

        self._decide(request, queryset, one, "resolved")

    @action(description="Ignore: it does not matter", permissions=["decide"])
    def ignore(self, request: HttpRequest, queryset: QuerySet[ErrorGroup]) -> None:
        self._decide(
            request, queryset, lambda number, by, reason: store.ignore_group(number, by=by, reason=reason), "ignored"
        )

    @action(description="Open again", permissions=["decide"])
    def reopen(self, request: HttpRequest, queryset: QuerySet[ErrorGroup]) -> None:
        self._decide(
            request, queryset, lambda number, by, reason: store.reopen_group(number, by=by, reason=reason), "opened"
        )

    def has_decide_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return bool(request.user.has_perm("monitoring.change_errorgroup"))

    @staticmethod
    def _decide(
        request: HttpRequest, chosen: QuerySet[ErrorGroup], decide: Callable[[int, str, str], bool], done: str
    ) -> None:
        reason = request.POST.get("reason", "").replace("\0", "").strip()[:1_000]
        if not reason:
            messages.error(request, "Write a reason beside the action: others read it.")
            return
        numbers: list[Any] = list(chosen.values_list("pk", flat=True))
        count = sum(decide(number, principal_of(request), reason) for number in numbers)
        if count:
            messages.success(request, f"{count} {done}.")
        if count < len(numbers):
            messages.warning(request, f"{len(numbers) - count} were {done} already.")


def _from_to(first: str, last: str) -> str:
    return (last if first == last else f"{first} … {last}") or "-"
