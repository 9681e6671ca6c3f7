"""The pages of approvals and delegations."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from people.models import Delegation
from workflows.admin.base import ShowOnly, json_block, moment
from workflows.models import ApprovalTask


@admin.register(ApprovalTask)
class ApprovalTaskAdmin(ShowOnly):
    """Votes are cast in the console, where one sees what one votes on."""

    list_display = ("title", "workflow", "business_key", "opened", "state", "groups")
    list_filter = ("outcome",)
    search_fields = ("business_key", "workflow")
    fields = (
        "title",
        "state",
        "vote_in_console",
        "run",
        "groups",
        "not_asked",
        "what",
        "votes_cast",
        "questions_asked",
    )
    readonly_fields = fields

    @display(description="Since")
    def opened(self, task: ApprovalTask) -> str:
        return moment(task.opened_at)

    @display(description="State")
    def state(self, task: ApprovalTask) -> str:
        return "open" if task.closed_at is None else f"{task.outcome}, {moment(task.closed_at)}"

    @display(description="Asked")
    def groups(self, task: ApprovalTask) -> str:
        return ", ".join(task.roles)

    @display(description="Not asked")
    def not_asked(self, task: ApprovalTask) -> str:
        return ", ".join(task.barred) or "-"

    @display(description="Run")
    def run(self, task: ApprovalTask) -> SafeString:
        url = reverse("admin:workflows_workflowrun_change", args=[task.run_id])
        return format_html('<a href="{}">{}, {}</a>', url, task.workflow, task.step)

    @display(description="Vote")
    def vote_in_console(self, task: ApprovalTask) -> SafeString:
        return format_html('<a href="{}">in the console</a>', reverse("console:approval", args=[task.pk]))

    @display(description="What is to be approved")
    def what(self, task: ApprovalTask) -> SafeString | str:
        return json_block(task.content)

    @display(description="Votes")
    def votes_cast(self, task: ApprovalTask) -> SafeString | str:
        rows = (
            (
                moment(vote.at),
                vote.voter,
                f" for {vote.on_behalf_of}" if vote.on_behalf_of else "",
                vote.choice,
                vote.comment,
            )
            for vote in task.votes.all()
        )
        return format_html_join("", "{} {}{}: {} {}<br>", rows) or "-"

    @display(description="Questions")
    def questions_asked(self, task: ApprovalTask) -> SafeString | str:
        rows = ((moment(one.at), one.by, one.text) for one in task.questions.all())
        return format_html_join("", "{} {}: {}<br>", rows) or "-"


@admin.register(Delegation)
class DelegationAdmin(ShowOnly):
    """Made by the person who is away, in the console or over the API."""

    list_display = ("delegator", "delegate", "from_", "to", "state")
    search_fields = ("delegator", "delegate")
    fields = ("delegator", "delegate", "from_", "to", "reason", "made_by", "state")
    readonly_fields = fields

    @display(description="From")
    def from_(self, one: Delegation) -> str:
        return moment(one.starts_at)

    @display(description="To")
    def to(self, one: Delegation) -> str:
        return moment(one.ends_at)

    @display(description="State")
    def state(self, one: Delegation) -> str:
        return f"ended by {one.revoked_by}, {moment(one.revoked_at)}" if one.revoked_at else "given"
