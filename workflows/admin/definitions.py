"""Definitions with their versions, and the form that validates and publishes one."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from workflows import engine
from workflows.errors import WorkflowsError
from workflows.models import WorkflowDefinition, WorkflowVersion

from .base import ShowOnly, json_block, moment, principal_of

_NEW = """\
name: my-workflow
lane: standard
steps:
  first: {uses: nexus.enrich_threat, with: {cves: ["CVE-2021-44228"]}}
output: "${{ steps.first.output }}"
"""


class PublishForm(forms.Form):
    source = forms.CharField(
        strip=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 28, "spellcheck": "false", "class": "erip-code"}),
        help_text="The definition. Its name decides which workflow it is published for.",
    )
    language = forms.ChoiceField(choices=[("yaml", "YAML"), ("json", "JSON")], widget=UnfoldAdminSelectWidget())


@admin.register(WorkflowDefinition)
class DefinitionAdmin(ShowOnly):
    list_display = ["name", "version", "published", "runs"]
    search_fields = ["name"]
    fields = ["name", "latest", "created_at", "runs"]
    readonly_fields = ["runs"]
    actions_list = ["publish"]
    actions_detail = ["publish_next"]
    change_form_outer_after_template = "admin/workflows/versions.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowDefinition]:
        latest = WorkflowVersion.objects.filter(definition=OuterRef("pk"), number=OuterRef("latest"))
        definitions: QuerySet[WorkflowDefinition] = super().get_queryset(request)
        return definitions.annotate(published_at=Subquery(latest.values("created_at")))

    @display(description="Latest version", ordering="latest")
    def version(self, definition: WorkflowDefinition) -> str:
        return f"v{definition.latest}" if definition.latest else "-"

    @display(description="Published", ordering="published_at")
    def published(self, definition: Any) -> str:
        return moment(definition.published_at)

    @display(description="Runs")
    def runs(self, definition: WorkflowDefinition) -> SafeString:
        address = reverse("admin:workflows_workflowrun_changelist")
        return format_html(
            '<a class="text-primary-600 dark:text-primary-400" href="{}?workflow={}">Show</a>', address, definition.name
        )

    def has_publish_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("workflows.add_workflowversion")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        versions = WorkflowVersion.objects.filter(definition_id=_number(object_id))
        rows = [
            [
                format_html(
                    '<a class="text-primary-600 dark:text-primary-400" href="{}">v{}</a>',
                    reverse("admin:workflows_workflowversion_change", args=[version.pk]),
                    version.number,
                ),
                version.content_hash[:12],
                version.author or "-",
                moment(version.created_at),
            ]
            for version in versions[:100]
        ]
        table = {"headers": ["Version", "Hash", "Author", "Published"], "rows": rows}
        context = {**(extra_context or {}), "versions": table}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    @action(description="Publish a definition", permissions=["publish"], icon="publish", url_path="publish")
    def publish(self, request: HttpRequest) -> HttpResponse:
        return self._form(request, {"source": _NEW, "language": "yaml"})

    @action(
        description="Publish next version",
        permissions=["publish"],
        icon="publish",
        url_path="publish",
        variant=ActionVariant.PRIMARY,
    )
    def publish_next(self, request: HttpRequest, object_id: str) -> HttpResponse:
        latest = WorkflowVersion.objects.filter(
            definition_id=_number(object_id), number=F("definition__latest")
        ).first()
        return self._form(request, {"source": latest.source, "language": latest.media} if latest else {"source": _NEW})

    def _form(self, request: HttpRequest, initial: dict[str, Any]) -> HttpResponse:
        faults: list[list[str]] = []
        form = PublishForm(request.POST if request.method == "POST" else None, initial=initial)
        if request.method == "POST" and form.is_valid():
            source, media = form.cleaned_data["source"], form.cleaned_data["language"]
            try:
                if "publish" in request.POST:
                    published = engine.publish(None, source, media, author=principal_of(request))
                    text = f"{published.name} v{published.number} is published."
                    if not published.created:
                        text = f"This is {published.name} v{published.number} already; nothing changed."
                    messages.success(request, text)
                    return redirect("admin:workflows_workflowversion_change", published.version_id)
                graph = engine.validate(source, media)
                messages.success(request, f"{graph.name} is valid: {', '.join(graph.steps)}.")
            except WorkflowsError as error:
                messages.error(request, error.message)
                faults = [[fault.path or "(the whole)", fault.message] for fault in error.faults]
        context = {
            **self.admin_site.each_context(request),
            "title": "Publish a definition",
            "opts": self.opts,
            "form": form,
            "faults": {"headers": ["Where", "What is wrong"], "rows": faults} if faults else None,
        }
        return TemplateResponse(request, "admin/workflows/publish.html", context)


def _number(object_id: str) -> int:
    """The id in an address; if that is no number, an id that no row has."""
    return int(object_id) if object_id.isdecimal() and len(object_id) <= 18 else 0


@admin.register(WorkflowVersion)
class VersionAdmin(ShowOnly):
    """Reached from its definition, and so not in the menu."""

    list_display = ["__str__", "author", "created_at"]
    fields = ["workflow", "number", "content_hash", "author", "created_at", "source_text", "parsed"]
    readonly_fields = ["workflow", "source_text", "parsed"]
    list_select_related = ["definition"]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    @display(description="Workflow")
    def workflow(self, version: WorkflowVersion) -> SafeString:
        address = reverse("admin:workflows_workflowdefinition_change", args=[version.definition_id])
        return format_html(
            '<a class="text-primary-600 dark:text-primary-400" href="{}">{}</a>', address, version.definition.name
        )

    @display(description="Source")
    def source_text(self, version: WorkflowVersion) -> SafeString:
        return format_html('<pre class="erip-code">{}</pre>', version.source)

    @display(description="Parsed")
    def parsed(self, version: WorkflowVersion) -> SafeString | str:
        return json_block(version.document)
