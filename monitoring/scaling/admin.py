"""What was scaled, and why."""

from django.contrib import admin
from unfold.decorators import display

from monitoring.scaling.models import ScalingEvent
from workflows.admin.base import ShowOnly


@admin.register(ScalingEvent)
class ScalingEventAdmin(ShowOnly):
    list_display = ["at", "target", "change", "reason", "emergency", "outcome"]
    fields = ["at", "target", "change", "reason", "emergency", "outcome", "error", "measures"]
    readonly_fields = ["change", "outcome"]
    list_filter = ["direction", "emergency"]
    search_fields = ["target", "reason"]
    list_fullwidth = True

    @display(description="Replicas")
    def change(self, event: ScalingEvent) -> str:
        return f"{event.before} → {event.after}"

    @display(description="Outcome", label={"done": "success", "failed": "danger"})
    def outcome(self, event: ScalingEvent) -> str:
        return "failed" if event.error else "done"
