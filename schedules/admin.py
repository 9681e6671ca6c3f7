"""The pages of schedules: what each says, what comes next, and what became of its moments."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from schedules import asking, stored
from schedules.errors import ScheduleInvalid
from schedules.models import Outcome, Schedule, ScheduledStart
from workflows.admin.base import ShowOnly, for_each, json_block, moment, principal_of

#: moments that the page shows
_SHOWN = 10


@admin.register(Schedule)
class ScheduleAdmin(ShowOnly):
    list_display = ("name", "workflow", "says", "comes_next", "state")
    search_fields = ("name",)
    fields = ("name", "state", "comes", "document", "author", "starts")
    readonly_fields = fields
    actions = ("pause", "resume", "trigger")

    def has_operate_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return request.user.has_perm("schedules.change_schedule")

    @display(description="Workflow")
    def workflow(self, schedule: Schedule) -> str:
        return str(_document(schedule).get("workflow", "-"))

    @display(description="When")
    def says(self, schedule: Schedule) -> str:
        document = _document(schedule)
        if "cron" in document:
            return f"{document['cron']} ({document.get('timezone', 'UTC')})"
        return f"every {document['every']}" if "every" in document else f"at {document.get('at', '-')}"

    @display(description="Next")
    def comes_next(self, schedule: Schedule) -> str:
        return moment(schedule.next_start_at)

    @display(description="State")
    def state(self, schedule: Schedule) -> str:
        if schedule.paused_at is not None:
            why = f": {schedule.paused_reason}" if schedule.paused_reason else ""
            return f"paused by {schedule.paused_by} since {moment(schedule.paused_at)}{why}"
        return "on" if schedule.next_at is not None else "over"

    @display(description="What it says")
    def document(self, schedule: Schedule) -> SafeString | str:
        return json_block(_document(schedule))

    @display(description="Last changed by")
    def author(self, schedule: Schedule) -> str:
        latest = schedule.versions.filter(number=schedule.latest).first()
        return f"{latest.author}, {moment(latest.created_at)}" if latest else "-"

    @display(description="Next starts")
    def comes(self, schedule: Schedule) -> SafeString | str:
        latest = schedule.versions.filter(number=schedule.latest, deleted=False).first()
        if latest is None:
            return "It was deleted."
        try:
            spec = stored.spec_of(latest)
        except ScheduleInvalid as error:
            return str(error)
        found = stored.preview(spec, count=_SHOWN)
        return format_html_join("", "{}<br>", ((moment(one.starts(schedule.name, spec.jitter)),) for one in found))

    @display(description="Last starts")
    def starts(self, schedule: Schedule) -> SafeString:
        rows = schedule.starts.order_by("-id")[:_SHOWN]
        return format_html_join(
            "", "{} {} {} {}<br>", ((moment(row.at), _word(row), row.reason, _run(row)) for row in rows)
        )

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, chosen: QuerySet[Schedule]) -> None:
        by = principal_of(request)
        for_each(
            request, chosen, lambda one: stored.pause(one.name, by=by, reason=""), lambda n: f"Paused {n}.", named=True
        )

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, chosen: QuerySet[Schedule]) -> None:
        for_each(request, chosen, lambda one: stored.resume(one.name), lambda n: f"Resumed {n}.", named=True)

    @admin.action(description="Start a run now", permissions=["operate"])
    def trigger(self, request: HttpRequest, chosen: QuerySet[Schedule]) -> None:
        by = principal_of(request)
        rows = for_each(request, chosen, lambda one: asking.trigger(one.name, by=by), named=True)
        for row in rows:
            if row.outcome == Outcome.FAILED:
                messages.warning(request, f"{row.schedule.name}: {row.reason}")
        if started := sum(row.outcome != Outcome.FAILED for row in rows):
            messages.success(request, f"Started {started}.")


def _document(schedule: Schedule) -> dict[str, object]:
    latest = schedule.versions.filter(number=schedule.latest).first()
    return latest.document if latest else {}


def _word(row: ScheduledStart) -> str:
    return str(Outcome(row.outcome).label)


def _run(row: ScheduledStart) -> SafeString | str:
    if row.run_id is None:
        return ""
    url = reverse("admin:workflows_workflowrun_change", args=[row.run_id])
    return format_html('<a href="{}">run</a>', url)
