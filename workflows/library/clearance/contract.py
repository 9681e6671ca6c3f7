"""What clearance.route_decision takes and gives."""

from datetime import date, datetime
from typing import Any

from pydantic import Field

from workflows.library.vocabulary import AnySeverity, StepInput, StepOutput

DEFAULT_TABLE = "breach-approval"


class DecideInput(StepInput):
    """The facts to decide by; null is not known. A table is asked only about the facts that are its fields."""

    table: str = Field(default=DEFAULT_TABLE, max_length=60, description="name of a decision table")
    severity: AnySeverity | None = None
    loss: float | None = Field(default=None, ge=0, description="e.g. the value at risk")
    records: int | None = Field(default=None, ge=0)
    exposure: float | None = Field(default=None, ge=0, le=100)
    threat_score: float | None = Field(default=None, ge=0, le=100)
    known_exploited: bool | None = None
    ransomware: bool | None = None
    hours_to_deadline: float | None = Field(default=None, description="hours to the next legal deadline")
    due_date: date | None = Field(
        default=None, description="a day by whose end (UTC) it is due whatever the table says"
    )
    facts: dict[str, Any] = Field(default={}, max_length=20, description="further fields of the table")


class DecideOutput(StepOutput):
    level: str = Field(default="none", description="who has to approve: none, team, manager, executive, board …")
    urgency: str = ""
    sla_hours: float = 0.0
    due_at: datetime | None = Field(default=None, description="creation + sla_hours, or the due date's end if sooner")
    due_date: date | None = None
    overdue: bool = Field(default=False, description="the due date had passed when the run was created")
    approvers: list[str] = []
    reason: str = ""
    table: str = ""
    version: int = 0
    row: str = ""
    facts: dict[str, Any] = {}
    could_be: list[str] = Field(default=[], description="rows before this one that would decide if facts not known fit")
    missing: list[str] = Field(default=[], description="these facts")
    assumptions: list[str] = Field(default=[], description="what was not known, in words")
