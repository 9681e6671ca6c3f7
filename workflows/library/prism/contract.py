"""What prism.quantify_risk takes and gives."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from workflows.library.vocabulary import DataCategories, IncidentType, StepInput, StepOutput

MAX_ITERATIONS = 1_000_000


class PertRange(BaseModel):
    """A PERT range: the least, the most likely and the greatest value."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    low: float = Field(ge=0, le=1e15)
    mode: float = Field(ge=0, le=1e15)
    high: float = Field(ge=0, le=1e15)

    @model_validator(mode="after")
    def in_order(self) -> Self:
        if not self.low <= self.mode <= self.high:
            raise ValueError("low ≤ mode ≤ high must hold")
        return self


class LossComponent(PertRange):
    """One kind of loss of one event; `probability` is how often an event brings it at all."""

    name: str = Field(max_length=200)
    probability: float = Field(default=1.0, ge=0, le=1)


class QuantifyInput(StepInput):
    """Ranges that are not given are derived: the frequency from past incidents, the losses from the loss factors."""

    incident_type: IncidentType | None = None
    data_categories: DataCategories = []
    affected_records: int | None = Field(default=None, ge=0, le=10**12, description="null: not known")
    frequency: PertRange | None = Field(default=None, description="loss events a year")
    vulnerability: PertRange | None = Field(
        default=None,
        description="share of threat events that become losses; `frequency` then counts threat events",
    )
    magnitude: PertRange | None = Field(default=None, description="loss of one event")
    components: list[LossComponent] = Field(default=[], max_length=50, description="in place of magnitude")
    magnitude_from: Literal["factors", "history"] = Field(
        default="factors", description="losses that are not given: loss factors, or what past incidents cost"
    )
    iterations: int = Field(default=20_000, ge=1_000, le=MAX_ITERATIONS)
    seed: int | None = Field(default=None, ge=0, le=2**53 - 1, description="default: derived from the run's id")
    tolerance: float = Field(default=0.05, gt=0, le=1, description="relative error up to which it has converged")

    @model_validator(mode="after")
    def one_magnitude(self) -> Self:
        if self.magnitude is not None and self.components:
            raise ValueError("give magnitude or components, not both")
        if self.vulnerability is not None and self.vulnerability.high > 1:
            raise ValueError("vulnerability is a share: at most 1")
        return self


class SingleLoss(BaseModel):
    """The loss of one event, such as the one at hand."""

    mean: float
    p5: float
    p50: float
    p95: float


class QuantifyOutput(StepOutput):
    """With `known` false the figures are null: there was nothing to derive them from, which is no loss of 0."""

    known: bool = True
    currency: str = "USD"
    ale: float | None = Field(default=0.0, description="annualised loss expectancy: the mean yearly loss")
    p5: float | None = Field(default=0.0, description="percentiles of the yearly loss")
    p50: float | None = 0.0
    p95: float | None = 0.0
    var95: float | None = Field(
        default=0.0, description="value at risk: the least yearly loss not exceeded in 95 % of years"
    )
    es95: float | None = Field(default=0.0, description="expected shortfall: the mean of the worst 5 % of years")
    probability_of_loss: float | None = 0.0
    single_loss: SingleLoss | None = None
    standard_error: float = Field(default=0.0, description="of the ale")
    convergence_error: float = Field(
        default=0.0,
        description="standard error relative to the mean, of the years or of the closed form, whichever is larger",
    )
    converged: bool = False
    analytic_ale: float = Field(default=0.0, description="the same mean in closed form, to check the simulation by")
    iterations: int = 0
    seed: int = 0
    frequency: PertRange | None = None
    components: list[LossComponent] = []
    risk_appetite: float | None = None
    appetite_used: float | None = Field(default=None, description="var95 / risk appetite")
    score: float | None = Field(default=None, description="100 * (1 - appetite used), not below 0")
    basis: list[str] = Field(default=[], description="where the ranges come from")
    sample_data: list[str] = Field(default=[], description="what of it is the shipped sample")
    assumptions: list[str] = Field(default=[], description="what was not known, and what was taken or left out for it")
