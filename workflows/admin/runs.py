"""Runs with filters; one run with its steps and events; cancel, pause, resume, and run again."""

import uuid
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from erip.foundation.db.json import JsonText
from workflows import engine, queries
from workflows.core.states import RUN_ENDS, RunState
from workflows.errors import UnknownRun, WorkflowsError
from workflows.explain import explain_run
from workflows.models import WorkflowDefinition, WorkflowRun

from .again import RunAgain
from .base import COLOURS, clock, json_block, moment, principal_of, span
from .many import ManyRuns


class WorkflowFilter(DropdownFilter):
    """By workflow. The names come from the definitions: reading them from the runs would read every run."""

    title = "workflow"
    parameter_name = "workflow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in WorkflowDefinition.objects.values_list("name", flat=True)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[WorkflowRun]) -> QuerySet[WorkflowRun]:
        return queryset.filter(workflow=self.value()) if self.value() else queryset


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


@admin.register(WorkflowRun)
class RunAdmin(ManyRuns, RunAgain):
    list_display = ["id", "workflow", "state_label", "lane", "business_key", "created", "took"]
    list_filter = [
        WorkflowFilter,
        ("state", ChoicesDropdownFilter),
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
    search_help_text = "A run's id or business key, in full"
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
        ("Input", {"fields": ["input_json"], "classes": ["tab"]}),
        ("Output", {"fields": ["output_json"], "classes": ["tab"]}),
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
            return queryset.filter(business_key=term.replace("\x00", "")), False

    @display(
        description="State",
        label={str(state): colour for state, colour in COLOURS.items() if colour != "default"},
    )
    def state_label(self, run: WorkflowRun) -> str:
        return run.state

    @display(description="Workflow")
    def workflow_version(self, run: WorkflowRun) -> str:
        return f"{run.workflow} v{run.version.number}"

    @display(description="Created")
    def created(self, run: WorkflowRun) -> str:
        return moment(run.created_at)

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
        try:
            run_id = str(uuid.UUID(object_id))
            context["steps"] = _steps_table(queries.run_detail(run_id)["steps"])
            context["waiting"] = explain_run(run_id)
            context["events"] = _events_table(queries.run_events(run_id))
        except (ValueError, UnknownRun):
            pass  # the page says itself that there is no such run
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def has_operate_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("workflows.change_workflowrun")

    def has_cancel_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_operate_permission(request) and not _ended(object_id)

    def has_retry_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_operate_permission(request) and _ended(object_id)

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
        return self.has_operate_permission(request) and _state(object_id) not in (None, *RUN_ENDS, RunState.PAUSED)

    def has_resume_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self.has_operate_permission(request) and _state(object_id) == RunState.PAUSED

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
        permissions=["cancel"],
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


def _label(state: str) -> SafeString:
    return render_to_string("unfold/helpers/label.html", {"text": state, "variant": COLOURS[state]})


def _time(value: Any) -> Any:
    return parse_datetime(value) if isinstance(value, str) else value


def _steps_table(steps: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [
        [
            step["id"],
            _label(step["status"]),
            _items(step["items"]) if step["items"] else str(step["attempt"] or "-"),
            step["worker"] or "-",
            clock(_time(step["started_at"])),
            span(_time(step["started_at"]), _time(step["finished_at"])),
            json_block(_outcome(step)),
        ]
        for step in steps
    ]
    return {
        "headers": [
            "Step",
            "State",
            "Attempt, items",
            "Worker",
            "Started",
            "Took",
            "Output, error, or wait",
        ],
        "rows": rows,
    }


def _items(items: dict[str, Any]) -> str:
    """The progress of a fan-out: "1,000 items: 990 SUCCEEDED, 10 RUNNING"."""
    states = ", ".join(f"{count:,} {state}" for state, count in items["by_status"].items())
    return f"{items['total']:,} items" + (f": {states}" if states else "")


def _outcome(step: dict[str, Any]) -> Any:
    if step["waits_for"] is not None and step["error"] is None:
        return step["waits_for"]
    if step["error"] is not None:
        return step["error"]
    if step["items"] and step["output"]:
        # The items' own outputs are left out: there may be thousands, and the API lists them.
        return {key: value for key, value in step["output"].items() if key != "results"}
    return step["output"]


def _events_table(events: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [
        [clock(_time(event["at"])), event["type"], event["step"] or "-", json_block(event["detail"] or None)]
        for event in events
    ]
    return {"headers": ["At", "What", "Step", "Detail"], "rows": rows}
