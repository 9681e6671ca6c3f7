"""`approvals.cast`: every vote that was cast in a run, also in an approval that has expired.

An approval that expires gives no votes to the steps after it, so that nobody counts what was not enough. A report is
to name them all the same: who had answered, and who had not.
"""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from people.models import Vote
from workflows.core.graph import Retry
from workflows.registry import StepContext, step


class CastInput(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Cast(BaseModel):
    """A vote, without its form: what a form says may be sealed."""

    approval: str = Field(description="the step that asked")
    by: str
    on_behalf_of: str | None
    choice: str
    roles: list[str]
    comment: str
    at: datetime


class CastOutput(BaseModel):
    """votes: all of the run's, in their order. expired: those of them that no longer counted, since theirs expired."""

    votes: list[Cast] = []
    expired: list[Cast] = []


@step(
    "approvals.cast",
    timeout=30.0,
    retry=Retry(max_attempts=10),
    summary="Every vote that was cast in the run, also in approvals that have expired",
)
def cast(given: CastInput, ctx: StepContext) -> CastOutput:
    found = CastOutput()
    for vote in Vote.objects.filter(task__run_id=ctx.run_id).select_related("task").order_by("pk"):
        one = Cast(
            approval=vote.task.step,
            by=vote.voter,
            on_behalf_of=vote.on_behalf_of or None,
            choice=vote.choice,
            roles=vote.roles,
            comment=vote.comment,
            at=vote.at,
        )
        found.votes.append(one)
        if vote.task.outcome == "expired":
            found.expired.append(one)
    return found
