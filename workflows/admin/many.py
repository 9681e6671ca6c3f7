"""Actions on many runs from their list: first a page that says how many there really are, then a batch.

"Select all" means every run that the list's filters and search match, and nobody has counted them yet. So the page
counts, and the batch is accepted only if the number is still the same.
"""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import EmptyResultSet, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from workflows import operations
from workflows.errors import BatchTooLarge, CountDiffers, WorkflowsError
from workflows.models import WorkflowRun
from workflows.operations import OPERATIONS
from workflows.store import Selection

from .base import ShowOnly, principal_of

#: what the page asks, and what its button says
_WORDS = {
    "cancel": (
        "Cancel {}?",
        "Cancel them",
        "A step that runs right now is not interrupted; its result no longer counts.",
    ),
    "pause": (
        "Pause {}?",
        "Pause them",
        "They begin nothing until they are resumed. Running steps go on. What is left of their times is kept.",
    ),
    "resume": ("Resume {}?", "Resume them", "They go on where they were paused."),
    "retry": (
        "Run {} again?",
        "Start the new runs",
        "Each is started again once, in the same version and with the same input. Those that have a retry already, and "
        "those that ended well, are left out.",
    ),
}


class ConfirmForm(forms.Form):
    expected = forms.IntegerField(min_value=0, widget=forms.HiddenInput())
    reason = forms.CharField(
        required=False,
        max_length=1000,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Recorded with the batch and its runs.",
    )


class ManyRuns(ShowOnly):
    """For the page of runs."""

    def response_action(self, request: HttpRequest, queryset: QuerySet[WorkflowRun]) -> HttpResponse | None:
        try:
            answer: HttpResponse | None = super().response_action(request, queryset)
            return answer
        except ValidationError:
            messages.error(request, "What was selected is not the id of a run.")
            return None

    @action(description="Cancel", permissions=["cancel_many"])
    def cancel_selected(self, request: HttpRequest, runs: QuerySet[WorkflowRun]) -> HttpResponse | None:
        return self._many("cancel", request, runs)

    @action(description="Run again", permissions=["retry_many"])
    def retry_selected(self, request: HttpRequest, runs: QuerySet[WorkflowRun]) -> HttpResponse | None:
        return self._many("retry", request, runs)

    @action(description="Pause", permissions=["pause_many"])
    def pause_selected(self, request: HttpRequest, runs: QuerySet[WorkflowRun]) -> HttpResponse | None:
        return self._many("pause", request, runs)

    @action(description="Resume", permissions=["pause_many"])
    def resume_selected(self, request: HttpRequest, runs: QuerySet[WorkflowRun]) -> HttpResponse | None:
        return self._many("resume", request, runs)

    def has_cancel_many_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("workflows.cancel_run"))

    def has_retry_many_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("workflows.retry_run"))

    def has_pause_many_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("workflows.pause_run"))

    def _many(self, name: str, request: HttpRequest, runs: QuerySet[WorkflowRun]) -> HttpResponse | None:
        operation = OPERATIONS[name]
        try:
            sql, parameters = runs.order_by().values("pk").query.sql_with_params()
        except EmptyResultSet:
            messages.warning(request, "No run is selected.")
            return None
        selection = operation.narrow(Selection(f"r.id IN ({sql})", parameters, archived=False), anything=True)
        confirmed = "confirmed" in request.POST
        form = ConfirmForm(request.POST if confirmed else None)
        try:
            if confirmed and form.is_valid():
                batch = operations.begin_with(
                    operation,
                    selection,
                    filter=_read(request),
                    principal=principal_of(request),
                    reason=form.cleaned_data["reason"],
                    expected=form.cleaned_data["expected"],
                )
                return redirect("admin:workflows_runbatch_change", batch)
        except CountDiffers as error:
            messages.warning(request, f"{error.message} The page shows them as they are now.")
        except WorkflowsError as error:
            messages.error(request, error.message)
            return None
        return self._confirm(name, request, selection, reason=request.POST.get("reason", "")[:1000])

    def _confirm(self, name: str, request: HttpRequest, selection: Selection, *, reason: str) -> HttpResponse | None:
        try:
            found = operations.preview_of(OPERATIONS[name], selection)
            if found.count > operations.MOST_RUNS:
                raise BatchTooLarge(operations.MOST_RUNS)
        except WorkflowsError as error:
            messages.error(request, error.message)
            return None
        if not found.count:
            messages.warning(request, f"None of the selected runs can be {_done(name)}.")
            return None
        title, button, explanation = _WORDS[name]
        rows = [["Workflow", each, f"{count:,}"] for each, count in found.by_workflow.items()]
        rows += [["State", each, f"{count:,}"] for each, count in found.by_status.items()]
        context = {
            **self.admin_site.each_context(request),
            "title": title.format(_runs(found.count)),
            "opts": self.opts,
            "form": ConfirmForm(initial={"expected": found.count, "reason": reason}),
            "found": {"headers": ["", "", "Runs"], "rows": rows},
            "explanation": explanation,
            "button": button,
            "hidden": _selected(request, f"{name}_selected"),
        }
        return TemplateResponse(request, "admin/workflows/many.html", context)


def _selected(request: HttpRequest, chosen: str) -> list[tuple[str, str]]:
    """What the form sends along, so that the list selects the same again."""
    ids = request.POST.getlist(ACTION_CHECKBOX_NAME)
    across = request.POST.get("select_across") == "1"
    # Django wants to see at least one.
    sent = [(ACTION_CHECKBOX_NAME, each) for each in (ids[:1] if across else ids)]
    return [("action", chosen), ("index", "0"), ("select_across", "1" if across else "0"), *sent]


def _read(request: HttpRequest) -> dict[str, Any]:
    """What people read about the batch."""
    if request.POST.get("select_across") == "1":
        query = {name: value for name, value in request.GET.items() if value}
        return {"selected in the admin": {name[:100]: value[:400] for name, value in query.items()} or "all"}
    return {"ids": request.POST.getlist(ACTION_CHECKBOX_NAME)}


def _runs(count: int) -> str:
    return f"{count:,} {'run' if count == 1 else 'runs'}"


def _done(name: str) -> str:
    return {
        "cancel": "cancelled: they have ended",
        "pause": "paused: they have ended, or are paused already",
        "resume": "resumed: they are not paused",
        "retry": "run again: they go on, or have a retry already",
    }[name]
