"""`clocks.touched`: the open cases that some duties touch, and what a change of them has moved.

A run sees the cases of its own space: of all workflows if its own is in none.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from workflows.clocks.models import OPEN, LegalClock, Reassessment
from workflows.core.graph import Retry
from workflows.engine.spaces import of_workflow
from workflows.models import WorkflowDefinition
from workflows.registry import StepContext, step

#: clocks and changes that are named
MOST: Final = 200
#: cases that were assessed again which are looked at, the latest first
LOOKED_AT: Final = 2_000


class TouchedInput(BaseModel):
    """Codes of duties, such as gdpr-33; none: all of them."""

    model_config = ConfigDict(extra="forbid")

    obligations: list[str] = Field(default=[], max_length=300)
    since: datetime | None = Field(default=None, description="changes from then on; default: the run's creation")


class Touched(BaseModel):
    run_id: UUID
    workflow: str
    obligation: str
    state: str
    due_at: datetime | None


class Moved(BaseModel):
    run_id: UUID
    workflow: str
    obligation: str
    what: str
    due_before: str | None
    due_at: str | None


class TouchedOutput(BaseModel):
    """cases: how many have an open clock of these duties. open and moved name the first 200 of each."""

    cases: int = 0
    open: list[Touched] = []
    moved: list[Moved] = []


@step(
    "clocks.touched",
    timeout=30.0,
    retry=Retry(max_attempts=3),
    summary="Open cases that duties touch, and the deadlines that a change of them has moved",
)
def touched(data: TouchedInput, ctx: StepContext) -> TouchedOutput:
    own = _of_space(ctx.workflow)
    rows = LegalClock.objects.filter(state__in=OPEN, **own)
    if data.obligations:
        rows = rows.filter(obligation__in=data.obligations)
    since = data.since or ctx.run_created_at
    again = Reassessment.objects.filter(cause="law", at__gte=since, **own).order_by("-id")[:LOOKED_AT]
    return TouchedOutput(
        cases=rows.order_by().values("case").distinct().count(),
        open=[
            Touched(
                run_id=row.run_id, workflow=row.workflow, obligation=row.obligation, state=row.state, due_at=row.due_at
            )
            for row in rows[:MOST]
        ],
        moved=[
            Moved(run_id=one.run_id, workflow=one.workflow, **_of(change))
            for one in again
            for change in one.changes
            if not data.obligations or change["obligation"] in data.obligations
        ][:MOST],
    )


def _of_space(workflow: str) -> dict[str, Any]:
    space = of_workflow(workflow)
    return {"workflow__in": WorkflowDefinition.objects.filter(space=space).values("name")} if space else {}


def _of(change: dict[str, Any]) -> dict[str, Any]:
    return {name: change[name] for name in ("obligation", "what", "due_before", "due_at")}
