"""What the trust steps take and give."""

from pydantic import BaseModel, Field

from workflows.library.vocabulary import StepInput, StepOutput


class OperationsInput(StepInput):
    """What to judge operations by."""

    runs: int = Field(default=1000, ge=1, le=10_000, description="so many of the latest ended runs")
    days: int = Field(default=730, ge=1, le=36_500, description="past incidents of so many days")


class OperationsOutput(StepOutput):
    score: float | None = Field(default=None, description="0 to 100; null when there is nothing to judge by")
    runs: int = 0
    runs_succeeded: int = 0
    run_score: float | None = None
    incidents: int = 0
    contained_in_time: int = 0
    containment_target_hours: float | None = None
    containment_score: float | None = None


class TrustInput(StepInput):
    """Four scores of 0 (worst) to 100 (best). null: there is no figure."""

    compliance: float | None = Field(ge=0, le=100)
    security: float | None = Field(ge=0, le=100)
    risk: float | None = Field(ge=0, le=100)
    operations: float | None = Field(ge=0, le=100)


class Part(BaseModel):
    dimension: str
    score: float | None
    weight: float
    weight_used: float = Field(description="after the weight of missing figures was shared out")
    points: float


class TrustOutput(StepOutput):
    score: float = Field(default=0.0, ge=0, le=100)
    grade: str = ""
    breakdown: list[Part] = []
    weakest: str | None = None
    complete: bool = True
