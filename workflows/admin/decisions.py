"""Decision tables with their versions, and the form that checks and publishes one."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.validators import RegexValidator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from workflows.core.tables.document import TableInvalid, read
from workflows.core.tables.sheet import write_rows
from workflows.decisions import files, stored
from workflows.decisions.errors import TableNotValid
from workflows.decisions.files import Language
from workflows.decisions.models import DecisionTable, DecisionVersion
from workflows.decisions.reporting import report, said

from .base import ShowOnly, moment, principal_of

_NEW = """\
inputs:
  - {name: severity, type: string, values: [low, high]}
outputs:
  - {name: level, type: string}
hit_policy: UNIQUE
rules:
  - {when: {severity: '"high"'}, then: {level: '"board"'}}
  - {when: {severity: '"low"'}, then: {level: '"team"'}}
"""
#: gaps, clashes and rows that a page shows
_SHOWN = 20
_LINK = '<a class="text-primary-600 dark:text-primary-400" href="{}">{}</a>'


class PublishForm(forms.Form):
    name = forms.CharField(
        max_length=63,
        validators=[RegexValidator(f"^{stored.NAME}$", "Letters, digits, - and _")],
        widget=UnfoldAdminTextInputWidget(),
        help_text="Definitions and requests refer to the table by it.",
    )
    source = forms.CharField(
        strip=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 28, "spellcheck": "false", "class": "erip-code"}),
        help_text="The table.",
    )
    language = forms.ChoiceField(
        # A workbook is no text.
        choices=[(one.value, one.value.upper()) for one in Language if one is not Language.XLSX],
        widget=UnfoldAdminSelectWidget(),
    )


def findings(document: dict[str, Any]) -> list[str]:
    """What is to be said of a table, a sentence each; it is valid."""
    try:
        found = report(read(document))
    except TableInvalid as error:
        return [f"This release cannot read it: {error}"[:400]]
    told = [f"No rule decides {said(one['tests'])}, for example {said(one['example'])}." for one in found["gaps"]]
    told += [f"Rules {one['first']} and {one['second']} both match {said(one['tests'])}." for one in found["clashes"]]
    told += [f"Rule {one} never decides." for one in found["unreached"]]
    told += [f"Rule {one} refers to other facts: its cases are not known beforehand." for one in found["unsure"]]
    if not found["complete"]:
        told.append("There may be more: not every case was looked at.")
    more = len(told) - _SHOWN
    return [*told[:_SHOWN], f"And {more} more."] if more > 0 else told


@admin.register(DecisionTable)
class DecisionTableAdmin(ShowOnly):
    list_display = ["name", "version", "policy", "rules", "published"]
    search_fields = ["name"]
    fields = ["name", "version", "policy", "says", "found", "versions"]
    readonly_fields = fields
    actions_list = ["publish"]
    actions_detail = ["publish_next"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DecisionTable]:
        found: QuerySet[DecisionTable] = super().get_queryset(request)
        return found

    @display(description="In force", ordering="latest")
    def version(self, table: DecisionTable) -> str:
        return f"v{table.latest}" if table.latest else "-"

    @display(description="Hit policy")
    def policy(self, table: DecisionTable) -> str:
        return str(_document(table).get("hit_policy", "UNIQUE"))

    @display(description="Rules")
    def rules(self, table: DecisionTable) -> int:
        return len(_document(table).get("rules", []))

    @display(description="Published")
    def published(self, table: DecisionTable) -> str:
        latest = table.versions.filter(number=table.latest).defer("document").first()
        return f"{moment(latest.created_at)} by {latest.author or '-'}" if latest else "-"

    @display(description="What it says")
    def says(self, table: DecisionTable) -> SafeString | str:
        return grid(_document(table))

    @display(description="What is to be said of it")
    def found(self, table: DecisionTable) -> SafeString | str:
        told = findings(_document(table)) if table.latest else []
        return format_html_join("", "{}<br>", ((one,) for one in told)) or "Every case is decided, and no rules clash."

    @display(description="Versions")
    def versions(self, table: DecisionTable) -> SafeString:
        rows = table.versions.order_by("-number").defer("document")[:100]
        return format_html_join(
            "",
            _LINK + " {} {}<br>",
            (
                (
                    reverse("admin:decisions_decisionversion_change", args=[one.pk]),
                    f"v{one.number}",
                    moment(one.created_at),
                    one.author,
                )
                for one in rows
            ),
        )

    def has_publish_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("decisions.add_decisionversion")

    @action(description="Publish a table", permissions=["publish"], icon="publish", url_path="publish")
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
        number = int(object_id) if object_id.isdecimal() and len(object_id) <= 18 else 0
        table = DecisionTable.objects.filter(pk=number).first()
        if table is None:
            return self._form(request, {"source": _NEW, "language": "yaml"})
        return self._form(request, {"name": table.name, "source": files.as_yaml(_document(table)), "language": "yaml"})

    def _form(self, request: HttpRequest, initial: dict[str, Any]) -> HttpResponse:
        faults: list[list[str]] = []
        form = PublishForm(request.POST if request.method == "POST" else None, initial=initial)
        if request.method == "POST" and form.is_valid():
            name, source = form.cleaned_data["name"], form.cleaned_data["source"]
            try:
                document = files.read_document(source.encode(), Language(form.cleaned_data["language"]))
                stored.check(document)
                if "publish" in request.POST:
                    done = stored.publish(name, document, author=principal_of(request))
                    text = f"{name} v{done.number} is in force."
                    if not done.created:
                        text = f"This is {name} v{done.number} already; nothing changed."
                    messages.success(request, text)
                    table = DecisionTable.objects.get(name=name)
                    return redirect("admin:decisions_decisiontable_change", table.pk)
                messages.success(request, "The table is valid.")
                for sentence in findings(document):
                    messages.warning(request, sentence)
            except (TableInvalid, TableNotValid) as error:
                messages.error(request, TableNotValid().message)
                faults = [[fault.path or "(the whole)", fault.message] for fault in error.faults]
        context = {
            **self.admin_site.each_context(request),
            "title": "Publish a decision table",
            "opts": self.opts,
            "form": form,
            "faults": {"headers": ["Where", "What is wrong"], "rows": faults} if faults else None,
        }
        return TemplateResponse(request, "admin/decisions/publish.html", context)


@admin.register(DecisionVersion)
class DecisionVersionAdmin(ShowOnly):
    """Reached from its table, and so not in the menu."""

    list_display = ["__str__", "author", "created_at"]
    list_select_related = ["table"]
    fields = ["of", "number", "content_hash", "author", "created_at", "says", "source"]
    readonly_fields = fields

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    @display(description="Table")
    def of(self, version: DecisionVersion) -> SafeString:
        return format_html(
            _LINK, reverse("admin:decisions_decisiontable_change", args=[version.table_id]), version.table.name
        )

    @display(description="What it says")
    def says(self, version: DecisionVersion) -> SafeString | str:
        return grid(version.document)

    @display(description="Source")
    def source(self, version: DecisionVersion) -> SafeString:
        return format_html('<pre class="erip-code">{}</pre>', files.as_yaml(version.document))


def _document(table: DecisionTable) -> dict[str, Any]:
    latest = table.versions.filter(number=table.latest).first()
    return latest.document if latest else {}


def grid(document: dict[str, Any]) -> SafeString | str:
    """The table as rows and columns."""
    try:
        rows = [row for row in write_rows(document) if row[0] not in ("description", "aggregation")]
    except TableInvalid:
        return "This release cannot read it."
    told = [row for row in rows if row[0] != "hit_policy"][: 10 * _SHOWN]
    body = format_html_join(
        "",
        "<tr>{}</tr>",
        ((format_html_join("", '<td class="border px-2 py-1">{}</td>', ((cell,) for cell in row)),) for row in told),
    )
    return format_html('<div class="overflow-x-auto"><table class="erip-code">{}</table></div>', body)
