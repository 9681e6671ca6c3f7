"""What atlas.assess_posture takes and gives."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from workflows.library.nexus.contract import EnrichOutput
from workflows.library.vocabulary import AttackVector, DataCategories, IncidentType, StepInput, StepOutput


class PostureInput(StepInput):
    """The threat to hold the organisation against. Without any, the whole organisation is assessed."""

    threat: EnrichOutput | None = Field(default=None, description="what nexus.enrich_threat found")
    incident_type: IncidentType | None = None
    attack_vector: AttackVector | None = None
    data_categories: DataCategories = []
    assets: list[Annotated[str, Field(max_length=200)]] = Field(
        default=[], max_length=1000, description="names of the assets concerned; [] finds them"
    )
    max_gaps: int = Field(default=10, ge=0, le=100)


class AffectedAsset(BaseModel):
    name: str
    criticality: int
    internet_facing: bool
    records: int
    exposure: float = Field(description="0 to 100, of this asset")
    because: str = Field(description="why it is concerned")


class ControlGap(BaseModel):
    control: str
    name: str
    nist_csf: list[str]
    iso27001: list[str]
    effectiveness: float
    target: float
    coverage: float = Field(description="share of the concerned assets that it protects, weighted by criticality")
    gap: float = Field(description="1 - coverage * min(1, effectiveness / target)")
    uncovered_assets: list[str] = Field(description="at most 10")


class PostureOutput(StepOutput):
    """With `known` false the scores are null: no asset is registered, which is no exposure of 0."""

    known: bool = True
    exposure_score: float | None = Field(default=0.0, ge=0, le=100)
    exposure_level: str = Field(default="low", description="low, medium, high, critical, or unknown")
    protection_score: float | None = Field(
        default=0.0, description="100 * the controls' strength on the concerned assets"
    )
    affected_assets: list[AffectedAsset] = Field(default=[], description="at most 25, the most exposed first")
    affected_asset_count: int = 0
    scope: Literal["named", "matched", "all"] = Field(
        default="all", description="how the assets were found: named, by product or data, or simply all there are"
    )
    records_at_risk: int = 0
    highest_criticality: int = 0
    control_gaps: list[ControlGap] = []
    controls_considered: int = 0
    unknown_assets: list[str] = Field(default=[], description="names given that are not in the register")
    sample_data: list[str] = Field(default=[], description="what of it is the shipped sample")
    assumptions: list[str] = Field(default=[], description="what was not known, and what was taken in its place")
