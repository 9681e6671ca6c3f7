"""What nexus.enrich_threat takes and gives."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, Field

from workflows.library.vocabulary import (
    AnySeverity,
    AttackVector,
    CveList,
    DataCategories,
    IncidentType,
    StepInput,
    StepOutput,
)


class EnrichInput(StepInput):
    """All fields are optional: a threat may be known by its CVEs alone, or by its kind alone."""

    cves: CveList = Field(default=[], description="CVE ids to look up in the catalogue")
    cvss_vectors: list[Annotated[str, Field(max_length=400)]] = Field(
        default=[], max_length=500, description="CVSS v2, v3.0, v3.1 or v4.0 vectors"
    )
    severity: AnySeverity | None = Field(default=None, description="the reporter's own rating")
    incident_type: IncidentType | None = Field(default=None, description="e.g. ransomware, data_theft, supply_chain")
    attack_vector: AttackVector | None = Field(default=None, description="e.g. phishing, exploited_vulnerability")
    data_categories: DataCategories = Field(default=[], description="kinds of data concerned")
    max_similar: int = Field(default=5, ge=0, le=50, description="how many similar past incidents to name")


class CvssScore(BaseModel):
    index: int = Field(description="position in cvss_vectors")
    vector: str
    version: str
    base_score: float = Field(description="of the base metrics alone; in version 4.0 this is CVSS-B")
    temporal_score: float | None = Field(default=None, description="v2, v3: null without temporal metrics")
    environmental_score: float | None = Field(default=None, description="v2, v3: null without environmental metrics")
    cvss_b: float | None = Field(default=None, description="v4.0: base metrics")
    cvss_bt: float | None = Field(default=None, description="v4.0: base and threat metrics")
    cvss_be: float | None = Field(default=None, description="v4.0: base and environmental metrics")
    cvss_bte: float | None = Field(default=None, description="v4.0: all three")
    score: float = Field(description="the score of all metrics that the vector states")
    score_is: str = Field(default="", description="base, temporal, environmental, CVSS-B, CVSS-BT, CVSS-BE, CVSS-BTE")
    severity: str
    note: str = Field(default="", description="what in the vector was wrong and left out")


class KevMatch(BaseModel):
    cve: str
    vendor: str
    product: str
    name: str
    date_added: date
    due_date: date
    overdue: bool = Field(description="the catalogue's due date lies before the day of the run")
    ransomware: bool
    required_action: str
    sample: bool = Field(default=False, description="an entry of the shipped sample, not of CISA's catalogue")


class SimilarIncident(BaseModel):
    reference: str
    title: str
    similarity: float = Field(ge=0, le=1)
    shared: list[str] = Field(description="what the two have in common")
    occurred_on: date
    records: int
    loss: float
    hours_to_contain: float | None
    sample: bool = False


class EnrichOutput(StepOutput):
    threat_score: float = Field(default=0.0, ge=0, le=100)
    threat_level: str = Field(default="low", description="low, medium, high or critical")
    threat_known: bool = Field(
        default=True, description="false: nothing says how severe it is, and the score is no finding"
    )
    known_exploited: bool = False
    exploitation_known: bool = Field(
        default=True, description="false: no catalogue is loaded but the sample, and no CVE was found in it"
    )
    ransomware_use: bool = False
    kev_matches: list[KevMatch] = Field(default=[], description="at most 40: ransomware first, then by due date")
    kev_match_count: int = 0
    cves_not_in_catalogue: list[str] = Field(default=[], description="at most 200")
    earliest_due_date: date | None = None
    catalogue_version: str | None = None
    cvss: list[CvssScore] = Field(default=[], description="at most 25, the highest first")
    max_cvss: float | None = None
    cvss_unreadable: list[str] = Field(default=[], description="vectors that are none, with their index; at most 25")
    cvss_unreadable_count: int = 0
    similar_incidents: list[SimilarIncident] = []
    reasons: list[str] = Field(default=[], description="how the threat score came about")
    sample_data: list[str] = Field(default=[], description="what of it is the shipped sample")
    assumptions: list[str] = Field(
        default=[], description="what was not known or could not be read, and what was taken"
    )
