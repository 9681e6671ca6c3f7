"""The pages of legal clocks. They are changed in the console and by the API, which ask for the reason."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from workflows.admin.base import ShowOnly, json_block, moment
from workflows.clocks.changing import database_clock
from workflows.clocks.models import LegalClock, Reassessment
from workflows.clocks.showing import shown


@admin.register(LegalClock)
class LegalClockAdmin(ShowOnly):
    list_display = ("obligation", "workflow", "state", "due", "arguable", "provisional", "verified")
    list_filter = ("state",)
    search_fields = ("obligation", "run_id", "workflow")
    ordering = ("due_at", "id")
    fields = (
        "obligation", "run", "state", "due", "arguable", "provisional", "doubt", "verified", "all_of_it",
    )  # fmt: skip
    readonly_fields = fields

    @display(description="Due", ordering="due_at")
    def due(self, clock: LegalClock) -> str:
        return moment(clock.due_at)

    @display(description="Arguable until")
    def arguable(self, clock: LegalClock) -> str:
        return moment(clock.arguable_until)

    @display(description="Run")
    def run(self, clock: LegalClock) -> SafeString:
        url = reverse("admin:workflows_workflowrun_change", args=[clock.run_id])
        return format_html('<a href="{}">{}</a>', url, clock.workflow)

    @admin.display(boolean=True, description="Verified")
    def verified(self, clock: LegalClock) -> bool:
        return bool(clock.duty.get("verified"))

    @display(description="How it came about")
    def all_of_it(self, clock: LegalClock) -> SafeString | str:
        return json_block(shown(clock, database_clock(), explain=True))


@admin.register(Reassessment)
class ReassessmentAdmin(ShowOnly):
    """Which cases a change of the law or a new fact changed."""

    list_display = ("when", "cause", "workflow", "run_id", "what", "by")
    list_filter = ("cause",)
    search_fields = ("run_id", "workflow")
    fields = ("when", "cause", "workflow", "run_id", "by", "reason", "everything")
    readonly_fields = fields

    @display(description="When", ordering="id")
    def when(self, one: Reassessment) -> str:
        return moment(one.at)

    @display(description="Changed")
    def what(self, one: Reassessment) -> str:
        return ", ".join(f"{each['obligation']} {each['what']}" for each in one.changes[:5])

    @display(description="What changed")
    def everything(self, one: Reassessment) -> SafeString | str:
        return json_block(one.changes)
