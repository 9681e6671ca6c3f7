"""Runs with filters; one run with its steps and events; cancel, pause, resume, and run again."""

import uuid
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from erip.foundation.db.json import JsonText
from erip.foundation.db.router import reads_from_replica
from workflows import engine, queries
from workflows.core.definition import DefinitionInvalid
from workflows.core.states import RUN_ENDS, RunState
from workflows.errors import UnknownRun, WorkflowsError
from workflows.models import ArchivedRun, WorkflowDefinition, WorkflowRun
from workflows.models.runs import CODE_SHOWN, ERROR_CODE

from . import by_key, counts, failing, items, resolving, run_page
from .again import RunAgain
from .base import COLOURS, json_block, moment, principal_of, span
from .many import ManyRuns
from .telling import in_a_list


class WorkflowFilter(DropdownFilter):
    """By workflow. The names come from the definitions: reading them from the runs would read every run."""

    title = "workflow"
    parameter_name = "workflow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in WorkflowDefinition.objects.values_list("name", flat=True)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[WorkflowRun]) -> QuerySet[WorkflowRun]:
        return queryset.filter(workflow=self.value()) if self.value() else queryset


class CodeFilter(DropdownFilter):
    """By the code of what went wrong: of the step that failed, else of the run."""

    title = "error code"
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(code, code) for code in failing.codes()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[WorkflowRun]) -> QuerySet[WorkflowRun]:
        code = self.value()
        if not code:
            return queryset
        if "\x00" in code:
            return queryset.none()
        return queryset.alias(code=ERROR_CODE).filter(error__isnull=False, code=code[:CODE_SHOWN])


class StateFilter(ChoicesDropdownFilter):
    """By state. Runs that ended badly are few, and an index has those with an error."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[WorkflowRun]) -> QuerySet[WorkflowRun]:
        found: QuerySet[WorkflowRun] = super().queryset(request, queryset)
        chosen = self.used_parameters.get(self.lookup_kwarg)
        chosen = chosen[0] if isinstance(chosen, list) and chosen else chosen
        return found.filter(error__isnull=False) if chosen in _WITH_ERROR else found


#: states of runs that have an error
_WITH_ERROR = {str(state) for state in (RunState.FAILED, RunState.TIMED_OUT, RunState.CANCELLED)}


class CancelForm(BaseDialogForm):
    reason = forms.CharField(
        required=False,
        max_length=1000,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Recorded with the run.",
    )


class PauseForm(BaseDialogForm):
    clock = forms.ChoiceField(
        choices=[("stop", "Keep what is left of each time"), ("go", "Let times go on")],
        initial="stop",
        widget=UnfoldAdminSelectWidget(),
        help_text="Rests before retries, waits, time limits of signals, and the run's deadline.",
    )
    reason = forms.CharField(
        required=False,
        max_length=1000,
        widget=UnfoldAdminTextInputWidget(),
        help_text="Recorded with the run.",
    )


class SignalForm(BaseDialogForm):
    signal = forms.CharField(
        max_length=63, widget=UnfoldAdminTextInputWidget(), help_text="The name of a signal that the run waits for."
    )
    payload = JsonText(
        required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 5}), help_text="JSON. Empty: null."
    )


def _may(request: HttpRequest, codename: str) -> bool:
    return bool(request.user.has_perm(f"workflows.{codename}"))


@admin.register(WorkflowRun)
class RunAdmin(ManyRuns, RunAgain):
    list_display = ["short_id", "workflow", "state_label", "error_line", "lane", "business_key", "created", "took"]
    list_filter = [
        WorkflowFilter,
        ("state", StateFilter),
        CodeFilter,
        ("lane", ChoicesDropdownFilter),
        ("created_at", RangeDateTimeFilter),
    ]
    list_filter_submit = True
    list_per_page = 50
    list_fullwidth = True
    ordering = ["-id"]
    sortable_by: list[str] = []
    # Counting millions of runs at each page would take longer than showing it.
    paginator = InfinitePaginator
    show_full_result_count = False
    search_fields = ["business_key"]
    search_help_text = "A run's id, or a part of a business key"
    list_before_template = "admin/workflows/counts.html"
    actions = ["cancel_selected", "retry_selected", "pause_selected", "resume_selected"]
    actions_detail = ["cancel", "pause", "resume", "signal", "retry", "retry_with"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("workflow_version", "state_label"),
                    ("lane", "business_key"),
                    ("started_by", "took"),
                    ("created_at", "deadline_at"),
                    ("started_at", "finished_at"),
                ]
            },
        ),
        ("Output", {"fields": ["output_json"], "classes": ["tab"]}),
        ("Input", {"fields": ["input_json"], "classes": ["tab"]}),
        ("Error", {"fields": ["error_json"], "classes": ["tab"]}),
    ]
    readonly_fields = [
        "workflow_version",
        "state_label",
        "took",
        "input_json",
        "output_json",
        "error_json",
    ]
    change_form_outer_before_template = "admin/workflows/run.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowRun]:
        runs: QuerySet[WorkflowRun] = super().get_queryset(request)
        return runs.select_related("version")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[WorkflowRun], search_term: str
    ) -> tuple[QuerySet[WorkflowRun], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(pk=uuid.UUID(term)), False
        except ValueError:
            # PostgreSQL stores no NUL, so no key has one.
            return queryset.none() if "\x00" in term else by_key.narrowed(request, queryset, term), False

    @display(
        description="State",
        label={str(state): colour for state, colour in COLOURS.items() if colour != "default"},
    )
    def state_label(self, run: WorkflowRun) -> str:
        return run.state

    @display(description="Error")
    def error_line(self, run: WorkflowRun) -> SafeString | str:
        return format_html('<span class="erip-line">{}</span>', in_a_list(run.error)) if run.error is not None else "-"

    @display(description="Workflow")
    def workflow_version(self, run: WorkflowRun) -> str:
        return f"{run.workflow} v{run.version.number}"

    @display(description="Created")
    def created(self, run: WorkflowRun) -> SafeString:
        date, _, time = moment(run.created_at).partition(" ")
        return format_html('<span class="erip-when">{}</span> <span class="erip-when">{}</span>', date, time)

    @display(description="Id")
    def short_id(self, run: WorkflowRun) -> SafeString:
        return format_html('<span class="erip-id">{}</span>', run.pk)

    @display(description="Took")
    def took(self, run: WorkflowRun) -> str:
        return span(run.created_at, run.finished_at)

    @display(description="Input")
    def input_json(self, run: WorkflowRun) -> SafeString | str:
        return json_block(run.input)

    @display(description="Output")
    def output_json(self, run: WorkflowRun) -> SafeString | str:
        return json_block(run.output)

    @display(description="Error")
    def error_json(self, run: WorkflowRun) -> SafeString | str:
        return json_block(run.error)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = dict(extra_context or {})
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            run_id = str(uuid.UUID(object_id))
            if moved := self._kept_elsewhere(run_id):
                return redirect(moved)
            context |= run_page.context_of(request, run_id, kept=self._kept())
            context["may_operate"] = _may(request, "resolve_step")
        except (ValueError, UnknownRun):
            pass  # the page says itself that there is no such run
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "GET" and self.has_view_permission(request):
            extra_context = {**(extra_context or {}), **self._counts(request)}
        return super().changelist_view(request, extra_context)

    @reads_from_replica
    def _counts(self, request: HttpRequest) -> dict[str, Any]:
        """For `admin/workflows/counts.html`."""
        workflow = request.GET.get("workflow") or None
        found = counts.by_state(self.model, workflow.replace("\x00", "") if workflow else None)
        chosen = request.GET.get("state__exact")
        keep = {"workflow": workflow} if workflow else {}
        return {
            "counts": [
                {
                    "state": state,
                    "count": f"{count:,}",
                    "colour": COLOURS.get(state, "default"),
                    "url": f"?{urlencode({**keep, 'state__exact': state} if state != chosen else keep)}",
                    "chosen": state == chosen,
                }
                for state, count in found["counts"].items()
            ],
            "counts_total": f"{found['total']:,}",
            "counts_whole": found["whole"],
            "counts_workflow": workflow,
            "counts_estimate": None if workflow or found["whole"] else counts.estimated(self.model),
        }

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("<str:run_id>/items/<str:step>/", self._seen(self.items_view), name=self._name("items")),
            path("<str:run_id>/resolve/<str:step>/", self._seen(self.resolve_view), name=self._name("resolve")),
        ]
        urls: list[URLPattern] = super().get_urls()
        return own + urls

    def items_view(self, request: HttpRequest, run_id: str, step: str) -> HttpResponse:
        return items.show(self, request, run_id, step, may_operate=_may(request, "resolve_step"))

    def resolve_view(self, request: HttpRequest, run_id: str, step: str) -> HttpResponse:
        return resolving.show(self, request, run_id, step, may_operate=_may(request, "resolve_step"))

    def _seen(self, view: Callable[..., HttpResponse]) -> Any:
        """For those who may see runs."""

        def guarded(request: HttpRequest, **of: str) -> HttpResponse:
            if not self.has_view_permission(request):
                raise PermissionDenied
            try:
                return view(request, **of)
            except DefinitionInvalid:
                # The run's own page says what it is about, and shows what can be shown.
                return redirect(f"admin:{self._name('change')}", of["run_id"])

        return self.admin_site.admin_view(guarded)

    def _kept_elsewhere(self, run_id: str) -> str:
        """Where the page of a run is that has been archived; "" if it is here, or nowhere."""
        if self.model is not WorkflowRun or WorkflowRun.objects.filter(pk=run_id).exists():
            return ""
        archived = ArchivedRun.objects.filter(pk=run_id).exists()
        return reverse("admin:workflows_archivedrun_change", args=[run_id]) if archived else ""

    def _kept(self) -> str:
        """Part of the names of its pages: runs and archived runs have the same pages."""
        return str(self.opts.model_name)

    def _name(self, page: str) -> str:
        return f"workflows_{self._kept()}_{page}"

    def has_cancel_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return _may(request, "cancel_run") and not _ended(object_id)

    def has_signal_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return _may(request, "signal_run") and not _ended(object_id)

    def has_retry_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return _may(request, "retry_run") and _ended(object_id)

    @action(
        description="Cancel",
        permissions=["cancel"],
        icon="cancel",
        url_path="cancel",
        variant=ActionVariant.DANGER,
        dialog={
            "title": "Cancel this run?",
            "description": "A step that runs right now is not interrupted; its result no longer counts.",
            "form_class": CancelForm,
            "form_submit_text": "Cancel the run",
        },
    )
    def cancel(self, request: HttpRequest, form: CancelForm, object_id: str) -> HttpResponse:
        def call() -> str:
            engine.cancel_run(object_id, principal=principal_of(request), reason=form.cleaned_data["reason"])
            return object_id

        return _then_show(request, object_id, call, "The run is cancelled.")

    def has_pause_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return _may(request, "pause_run") and _state(object_id) not in (None, *RUN_ENDS, RunState.PAUSED)

    def has_resume_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return _may(request, "pause_run") and _state(object_id) == RunState.PAUSED

    @action(
        description="Pause",
        permissions=["pause"],
        icon="pause",
        url_path="pause",
        dialog={
            "title": "Pause this run?",
            "description": "It begins nothing until it is resumed. A step that runs right now goes on.",
            "form_class": PauseForm,
            "form_submit_text": "Pause the run",
        },
    )
    def pause(self, request: HttpRequest, form: PauseForm, object_id: str) -> HttpResponse:
        def call() -> str:
            values = form.cleaned_data
            engine.pause_run(object_id, principal=principal_of(request), reason=values["reason"], clock=values["clock"])
            return object_id

        return _then_show(request, object_id, call, "The run is paused.")

    @action(
        description="Resume",
        permissions=["resume"],
        icon="play_arrow",
        url_path="resume",
        dialog={
            "title": "Resume this run?",
            "description": "It goes on as if nothing had happened but time.",
            "form_class": BaseDialogForm,
            "form_submit_text": "Resume the run",
        },
    )
    def resume(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            engine.resume_run(object_id, principal=principal_of(request))
            return object_id

        return _then_show(request, object_id, call, "The run is resumed.")

    @action(
        description="Send a signal",
        permissions=["signal"],
        icon="campaign",
        url_path="signal",
        dialog={
            "title": "Send a signal to this run?",
            "description": "It is given to the first step that waits for it, or kept for the first that will.",
            "form_class": SignalForm,
            "form_submit_text": "Send the signal",
        },
    )
    def signal(self, request: HttpRequest, form: SignalForm, object_id: str) -> HttpResponse:
        def call() -> str:
            values = form.cleaned_data
            engine.signal_run(object_id, values["signal"], values["payload"], principal=principal_of(request))
            return object_id

        return _then_show(request, object_id, call, "The signal is sent.")

    @action(
        description="Run again",
        permissions=["retry"],
        icon="replay",
        url_path="retry",
        dialog={
            "title": "Run again?",
            "description": "Starts a new run of the same version with the same input.",
            "form_class": BaseDialogForm,
            "form_submit_text": "Start the new run",
        },
    )
    def retry(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        def call() -> str:
            return str(engine.retry_run(object_id, principal=principal_of(request)).id)

        return _then_show(request, object_id, call, "The new run is started.")


def _then_show(request: HttpRequest, run_id: str, call: Callable[[], str], done: str) -> HttpResponse:
    """Call the engine about a run, and show the run that the call returns, or the error."""
    try:
        run_id = call()
        messages.success(request, done)
    except WorkflowsError as error:
        messages.error(request, error.message)
    # The dialog is sent by htmx, which would put the page of an ordinary redirect into the dialog.
    address = reverse("admin:workflows_workflowrun_change", args=[run_id])
    return HttpResponse(headers={"HX-Redirect": address})


def _ended(run_id: Any) -> bool:
    try:
        return queries.run_finished(str(run_id))
    except UnknownRun:
        return False


def _state(run_id: Any) -> str | None:
    """None where there is no such run among those that are not archived."""
    try:
        return WorkflowRun.objects.filter(pk=uuid.UUID(str(run_id))).values_list("state", flat=True).first()
    except ValueError:
        return None
