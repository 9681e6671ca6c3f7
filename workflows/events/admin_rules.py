"""Event types and stored rules in the admin. They are changed over REST; a rule can be switched off and on here."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from workflows.admin.base import ShowOnly, for_each, json_block, moment, principal_of
from workflows.events import rules_in_force, stored
from workflows.events.models import EventType, EventTypeVersion, Trigger, TriggerVersion
from workflows.models import WorkflowDefinition


@admin.register(EventType)
class EventTypeAdmin(ShowOnly):
    list_display = ["name", "version", "description", "author", "registered"]
    search_fields = ["name"]
    fields = ["name", "version", "description", "author", "registered", "schema", "former"]
    readonly_fields = ["version", "description", "author", "registered", "schema", "former"]

    @display(description="Version")
    def version(self, type_: EventType) -> str:
        return f"v{type_.latest}" if type_.latest else "-"

    @display(description="Description")
    def description(self, type_: EventType) -> str:
        return self._of(type_).description

    @display(description="Author")
    def author(self, type_: EventType) -> str:
        return self._of(type_).author or "-"

    @display(description="Registered")
    def registered(self, type_: EventType) -> str:
        return moment(self._of(type_).created_at)

    @display(description="Schema of its data")
    def schema(self, type_: EventType) -> SafeString | str:
        return json_block(self._of(type_).schema)

    @display(description="Former versions")
    def former(self, type_: EventType) -> SafeString | str:
        versions = type_.versions.filter(number__lt=type_.latest)[:100]
        return json_block(
            [
                {"version": v.number, "author": v.author, "at": moment(v.created_at), "schema": v.schema}
                for v in versions
            ]
            or None
        )

    @staticmethod
    def _of(type_: EventType) -> EventTypeVersion:
        found: EventTypeVersion = type_.versions.get(number=type_.latest)
        return found


@admin.register(Trigger)
class TriggerAdmin(ShowOnly):
    list_display = ["name", "workflow", "event", "status", "version", "author", "changed"]
    search_fields = ["name"]
    fields = ["name", "status", "workflow", "description", "rule", "version", "author", "changed", "former"]
    readonly_fields = ["status", "workflow", "description", "rule", "version", "author", "changed", "former"]
    actions = ["switch_on", "switch_off", "remove"]
    list_before_template = "admin/events/rules.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Trigger]:
        deleted = TriggerVersion.objects.filter(trigger=OuterRef("pk"), number=OuterRef("latest"), deleted=True)
        triggers: QuerySet[Trigger] = super().get_queryset(request)
        return triggers.filter(~Exists(deleted))

    def get_actions(self, request: HttpRequest) -> Any:
        return {name: found for name, found in super().get_actions(request).items() if name != "delete_selected"}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = dict(extra_context or {})
        if request.method == "GET" and self.has_view_permission(request):
            context |= _in_force()
        return super().changelist_view(request, context)

    @display(description="Workflow")
    def workflow(self, trigger: Trigger) -> str:
        return self._of(trigger).workflow

    @display(description="Events")
    def event(self, trigger: Trigger) -> str:
        return str(self._of(trigger).rule.get("event", "-"))

    @display(description="Status", label={"on": "success", "off": "default"})
    def status(self, trigger: Trigger) -> str:
        return "on" if self._of(trigger).enabled else "off"

    @display(description="Version")
    def version(self, trigger: Trigger) -> str:
        return f"v{trigger.latest}"

    @display(description="Author")
    def author(self, trigger: Trigger) -> str:
        return self._of(trigger).author

    @display(description="Changed")
    def changed(self, trigger: Trigger) -> str:
        return moment(self._of(trigger).created_at)

    @display(description="Description")
    def description(self, trigger: Trigger) -> str:
        return self._of(trigger).description or "-"

    @display(description="Rule")
    def rule(self, trigger: Trigger) -> SafeString | str:
        return json_block(self._of(trigger).rule)

    @display(description="What it said before")
    def former(self, trigger: Trigger) -> SafeString | str:
        versions = trigger.versions.filter(number__lt=trigger.latest)[:100]
        said = [
            {
                "version": v.number,
                "author": v.author,
                "at": moment(v.created_at),
                "workflow": v.workflow,
                "enabled": v.enabled,
                "deleted": v.deleted,
                "rule": v.rule,
            }
            for v in versions
        ]
        return json_block(said or None)

    @action(description="Switch on", permissions=["store"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> None:
        self._switch(request, queryset, True)

    @action(description="Switch off", permissions=["store"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> None:
        self._switch(request, queryset, False)

    @action(description="Delete", permissions=["store"])
    def remove(self, request: HttpRequest, queryset: QuerySet[Trigger]) -> None:
        author = principal_of(request)
        for_each(
            request, _names(queryset), lambda name: stored.delete(name, author=author), _count("deleted"), named=True
        )

    def has_store_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return bool(request.user.has_perm("events.add_triggerversion"))

    def _switch(self, request: HttpRequest, chosen: QuerySet[Trigger], enabled: bool) -> None:
        def put(name: str) -> None:
            says = stored.history(name)[0]
            stored.put(
                name,
                workflow=says.workflow,
                rule=says.rule,
                enabled=enabled,
                description=says.description,
                author=principal_of(request),
            )

        for_each(request, _names(chosen), put, _count(f"switched {'on' if enabled else 'off'}"), named=True)

    @staticmethod
    def _of(trigger: Trigger) -> TriggerVersion:
        found: TriggerVersion = trigger.versions.get(number=trigger.latest)
        return found


#: rules that the page shows
SHOWN = 300


def _in_force() -> dict[str, Any]:
    """For `admin/events/rules.html`. Of thousands of rules, the page shows the first."""
    found = list(islice(rules_in_force.rules(), SHOWN + 1))[:SHOWN]
    definitions = WorkflowDefinition.objects.filter(name__in={rule.workflow for rule in found})
    known = {name: (pk, latest) for name, pk, latest in definitions.values_list("name", "pk", "latest")}
    rows = []
    for rule in found:
        pk, latest = known.get(rule.workflow, (None, None))
        url = reverse("admin:workflows_workflowdefinition_change", args=[pk]) if pk else ""
        rows.append({"rule": rule, "definition_url": url, "version": latest})
    return {
        "rules": rows,
        "more_rules": max(0, rules_in_force.count() - SHOWN),
        "left_out": rules_in_force.left_out()[:SHOWN],
    }


def _names(chosen: QuerySet[Trigger]) -> Iterable[str]:
    return chosen.values_list("name", flat=True)


def _count(done: str) -> Callable[[int], str]:
    return lambda count: f"{count} {done}."
