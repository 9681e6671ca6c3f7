"""Worker processes: whether they are alive, and what each runs now. Those that have stopped fold away."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from workflows import at_work
from workflows.conf import conf
from workflows.models import Worker

from .base import ShowOnly, moment, span
from .telling import named

#: steps that are shown of each worker
SHOWN = 5
#: stopped workers that are shown
STOPPED = 50


class Shown(admin.SimpleListFilter):
    title = "workers"
    parameter_name = "stopped"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "not stopped"), ("yes", "stopped"), ("all", "all")]

    def choices(self, changelist: ChangeList) -> Any:
        for value, title in self.lookup_choices:
            yield {
                "selected": (self.value() or "no") == value,
                "query_string": changelist.get_query_string({self.parameter_name: value}),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Worker]) -> QuerySet[Worker]:
        if self.value() == "all":
            return queryset
        return queryset.filter(stopped_at__isnull=self.value() != "yes")


class _Changes(ChangeList):
    """Asks for what the workers of the page run, all at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        running = at_work.running_on([worker.pk for worker in self.result_list], shown=SHOWN)
        for worker in self.result_list:
            worker.runs_now = running.get(worker.pk, [])


@admin.register(Worker)
class WorkerAdmin(ShowOnly):
    list_display = ["name", "status", "now", "host", "pid", "lanes", "rate", "lacking", "started_at", "heartbeat_at"]
    fields = [
        "name", "status", "now", "host", "pid", "lanes", "rate", "lacking", "started_at", "heartbeat_at", "stopped_at",
    ]  # fmt: skip
    readonly_fields = ["status", "now", "lacking"]
    list_filter = [Shown]
    search_fields = ["name", "host"]
    list_fullwidth = True
    list_after_template = "admin/workflows/stopped.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return _Changes

    @display(description="Status", label={"alive": "success", "lost": "danger"})
    def status(self, worker: Worker) -> str:
        if worker.stopped_at is not None:
            return "stopped"
        # A web server's clock may differ a little from the database's; that is good enough for people.
        silent = timezone.now() - worker.heartbeat_at
        return "alive" if silent < timedelta(seconds=conf().lease) else "lost"

    @display(description="Lacks", empty_value="")
    def lacking(self, worker: Worker) -> str:
        """The registered steps that it leaves to others."""
        return ", ".join(at_work.lacked(worker.lacks))

    @display(description="Runs now")
    def now(self, worker: Any) -> SafeString | str:
        if hasattr(worker, "runs_now"):
            found = worker.runs_now
        else:
            found = at_work.running_on([worker.pk], shown=SHOWN).get(worker.pk, [])
        if not found:
            return "-"
        rows = (
            (
                reverse("admin:workflows_workflowrun_change", args=[run_id]),
                f"{workflow} · {named(step, item)}",
                f" {span(started, timezone.now())}",
            )
            for run_id, workflow, _, step, item, started, _ in found[:SHOWN]
        )
        lines = format_html_join(
            "", '<div><a class="text-primary-600 dark:text-primary-400" href="{}">{}</a>{}</div>', rows
        )
        count = found[0][-1]
        if count <= SHOWN:
            return lines
        counted = at_work.COUNTED
        more = f"{count - SHOWN:,}" if count < counted else f"{counted - SHOWN:,} or"
        return format_html("{}<div>and {} more</div>", lines, more)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        context = {**(extra_context or {})}
        if request.method == "GET" and self.has_view_permission(request) and not request.GET.get("stopped"):
            context["stopped"] = _stopped()
        return super().changelist_view(request, context)


def _stopped() -> list[dict[str, Any]]:
    rows = Worker.objects.filter(stopped_at__isnull=False).order_by("-id")[:STOPPED]
    return [
        {
            "name": worker.name,
            "host": worker.host,
            "started": moment(worker.started_at),
            "stopped": moment(worker.stopped_at),
            "url": reverse("admin:workflows_worker_change", args=[worker.pk]),
        }
        for worker in rows
    ]
