"""What the compass steps take and give."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from workflows.library.vocabulary import (
    AnySeverity,
    GivenCategories,
    GivenFacts,
    GivenJurisdictions,
    Moment,
    StepInput,
    StepOutput,
)
from workflows.registry import LEVEL

#: stopped and dismissed are said of duties whose clock a person has changed (`clocks.standing`)
Status = Literal["due", "overdue", "met", "late", "waiting", "promptly", "stopped", "dismissed"]


class ComplianceInput(StepInput):
    """The facts that decide which duties arise. What is left out (null) counts as not known yet.

    Words are read with `workflows.library.vocabulary`. One that it does not know is not known, and named in the answer.
    """

    jurisdictions: GivenJurisdictions | None = Field(
        default=None, description="where the organisation or those affected are: DE, US-CA; null or []: not known"
    )
    sector: Annotated[str, Field(max_length=200)] | None = None
    data_categories: GivenCategories | None = Field(default=None, description="null: not known; []: no data concerned")
    severity: AnySeverity | None = None
    affected_records: int | None = Field(default=None, ge=0, le=10**12)
    residents: dict[str, Annotated[int, Field(ge=0, le=10**12)]] = Field(
        default={}, max_length=300, description="place → people concerned who live there, such as US-CA: 501"
    )
    organisation_facts: GivenFacts | None = Field(
        default=None, description="e.g. listed_company, hipaa_covered; null: not known"
    )
    detected_at: Moment | None = Field(
        default=None, description="when it came to be known; default: the run's creation"
    )
    incident_at: Moment | None = Field(default=None, description="when it happened")
    suspected_at: Moment | None = Field(default=None, description="when it was first suspected")
    believed_at: Moment | None = Field(default=None, description="when there was reason to believe that it happened")
    aware_at: Moment | None = Field(
        default=None, description="when it was reasonably certain; the same as confirmed_at"
    )
    determined_at: Moment | None = Field(default=None, description="when the breach was determined")
    fix_available_at: Moment | None = Field(default=None, description="when a corrective measure was available")
    handled_at: Moment | None = Field(default=None, description="when the incident was handled")
    encrypted: bool | None = Field(
        default=None, description="whether the data were encrypted and the key is not concerned; null: not known"
    )
    confirmed_at: Moment | None = Field(default=None, description="when a breach was established")
    classified_at: Moment | None = Field(default=None, description="when it was classified as major or significant")
    material_at: Moment | None = Field(default=None, description="when it was determined to be material")
    paid_at: Moment | None = Field(default=None, description="when a ransom was paid")
    start_clocks: bool = Field(
        default=True,
        description="whether the clocks of the duties that apply start; false: nothing has happened yet",
        json_schema_extra={LEVEL: 7},
    )
    submitted: dict[str, Moment] = Field(
        default={}, max_length=200, description="obligation code → when it was met; <code>-update → its latest update"
    )


class ObligationDue(BaseModel):
    code: str
    regime: str
    title: str
    authority: str
    deadline: datetime | None = Field(description="UTC; null while the trigger has not happened or no time is fixed")
    arguable_until: datetime | None = Field(
        default=None, description="UTC; the latest reading of the law that can be defended. Never plan for it"
    )
    status: Status
    applicability: Literal["applies", "to_check"]
    trigger: str | None = Field(description="what the deadline is reckoned from")
    hours_left: float | None
    wording: str
    citation: str
    source: str
    missing: list[str] = Field(default=[], description="what must be known to be sure that it applies")
    provisional: bool = Field(
        default=False,
        description="the deadline is a forecast: it counts from a stage not yet met, or from a detection not given",
    )
    note: str = ""
    said: str = Field(
        default="",
        description="what a person did about it: filed, sent without a clock, stopped or dismissed; who, when",
    )
    verified: bool = Field(default=False, description="the official wording of the law was read; if not, check it")
    reviewed_on: date | None = Field(default=None, description="when somebody last looked at the duty")


class ClockFacts(BaseModel):
    """What the deadlines hang on: each clock that starts takes it along."""

    moments: dict[str, datetime]
    submitted: dict[str, datetime]
    facts: list[str]
    places: dict[str, list[str]] = Field(description="obligation → the places where it applies; []: not known")
    assumed: list[str] = Field(default=[], description="moments that are not known, and stand for what may be earlier")
    given: dict[str, Any] = Field(default={}, description="the input, with which the incident is assessed again")


class ComplianceOutput(StepOutput):
    as_of: datetime | None = None
    obligations: list[ObligationDue] = []
    applying: int = 0
    to_check: int = 0
    overdue: int = 0
    next_deadline: datetime | None = None
    next_obligation: str | None = None
    hours_to_next_deadline: float | None = None
    most_urgent: str | None = Field(
        default=None, description="the obligation that is overdue the longest, else due next"
    )
    most_urgent_deadline: datetime | None = None
    hours_to_most_urgent: float | None = Field(default=None, description="below 0 where it is overdue")
    assumptions: list[str] = []
    clocks: ClockFacts | None = Field(default=None, description="null: no clock starts")


class ReadinessInput(StepInput):
    """Which requirements to look at."""

    frameworks: list[str] = Field(default=[], max_length=100, description="[] is every framework")


class FrameworkReadiness(BaseModel):
    framework: str
    score: float
    requirements: int
    out_of_date: int


class Shortfall(BaseModel):
    framework: str
    reference: str
    title: str
    fulfilment: float
    assessed_on: date
    out_of_date: bool


class ReadinessOutput(StepOutput):
    score: float | None = Field(default=None, description="0 to 100; null when nothing was assessed")
    frameworks: list[FrameworkReadiness] = []
    sample_data: list[str] = Field(default=[], description="what of it is the shipped sample")
    shortfalls: list[Shortfall] = Field(default=[], description="the heaviest first, at most 25")
    requirements: int = 0
