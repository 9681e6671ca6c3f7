"""Pauses of workflows and lanes: begin one, and end it."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from workflows import engine
from workflows.core.states import Lane
from workflows.errors import WorkflowsError
from workflows.models import Hold, RunPause, WorkflowDefinition

from .base import ShowOnly, for_each, moment, principal_of


class PauseForm(forms.Form):
    what = forms.ChoiceField(widget=UnfoldAdminSelectWidget())
    clock = forms.ChoiceField(
        choices=[("stop", "stop: what is left of each time is kept"), ("go", "go: times go on")],
        widget=UnfoldAdminSelectWidget(),
    )
    reason = forms.CharField(required=False, max_length=1000, widget=UnfoldAdminTextInputWidget())

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        names = WorkflowDefinition.objects.order_by("name").values_list("name", flat=True)
        choices = [(f"lane {lane}", f"lane {lane}") for lane in Lane]
        choices += [(f"workflow {name}", f"workflow {name}") for name in names]
        self.fields["what"].choices = choices  # type: ignore[attr-defined]


@admin.register(Hold)
class HoldAdmin(ShowOnly):
    """Paused workflows and lanes, and those that were."""

    dangerous = True
    list_display = ["kind", "name", "status", "since_shown", "runs", "by", "reason", "clock"]
    list_filter = ["kind"]
    search_fields = ["name"]
    fields = ["kind", "name", "status", "since_shown", "runs", "by", "reason", "clock", "resumed_by"]
    readonly_fields = ["status", "since_shown", "runs"]
    actions = ["resume"]
    actions_list = ["pause"]

    @display(description="Status", label={"paused": "warning", "going on": "info", "over": "default"})
    def status(self, hold: Hold) -> str:
        if hold.resumed_at is None:
            return "paused"
        return "over" if hold.done_at is not None else "going on"

    @display(description="Since")
    def since_shown(self, hold: Hold) -> str:
        return moment(hold.since)

    @display(description="Runs held")
    def runs(self, hold: Hold) -> int:
        return RunPause.objects.filter(hold=hold.pk, run__finished_at__isnull=True).count()

    @action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: Any) -> None:
        by = principal_of(request)
        for_each(
            request,
            queryset.values_list("kind", "name"),
            lambda one: engine.resume_all(one[0], one[1], principal=by),
            lambda count: f"{count} resumed. Their runs go on within seconds.",
        )

    @action(description="Pause a workflow or a lane", permissions=["operate"], url_path="pause")
    def pause(self, request: HttpRequest) -> HttpResponse:
        form = PauseForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            kind, _, name = form.cleaned_data["what"].partition(" ")
            try:
                engine.pause_all(
                    kind,
                    name,
                    principal=principal_of(request),
                    reason=form.cleaned_data["reason"],
                    clock=form.cleaned_data["clock"],
                )
            except WorkflowsError as error:
                messages.warning(request, str(error))
            else:
                messages.success(request, f"The {kind} {name} is paused. Its runs are parked within seconds.")
                return HttpResponseRedirect(reverse("admin:workflows_hold_changelist"))
        context = {**self.admin_site.each_context(request), "form": form, "title": "Pause", "opts": self.opts}
        return TemplateResponse(request, "admin/workflows/pause.html", context)

    def has_operate_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return bool(request.user.has_perm("workflows.pause_workflow"))
