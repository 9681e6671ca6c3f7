"""What beacon.report takes and gives."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from workflows.library.atlas.contract import PostureOutput
from workflows.library.clearance.contract import DecideOutput
from workflows.library.compass.contract import ComplianceOutput, ReadinessOutput
from workflows.library.nexus.contract import EnrichOutput
from workflows.library.prism.contract import QuantifyOutput
from workflows.library.trust.contract import OperationsOutput, TrustOutput
from workflows.library.vocabulary import AnySeverity, Moment, StepInput, StepOutput


class Section(BaseModel):
    """Anything else to report: a text, and names with values."""

    model_config = ConfigDict(extra="forbid")
    title: str = Field(max_length=200)
    text: str = Field(default="", max_length=20_000)
    facts: dict[str, Any] = Field(default={}, max_length=200)


class ReportInput(StepInput):
    """The parts that are given are reported; each is the output of the step that makes it."""

    title: str = Field(
        default="", max_length=2000, description="cut at 300; default: the workflow and its business key"
    )
    summary: str = Field(default="", max_length=20_000)
    subject: dict[str, Any] = Field(default={}, description="what it is about, such as the run's input")
    threat: EnrichOutput | None = None
    posture: PostureOutput | None = None
    compliance: ComplianceOutput | None = None
    readiness: ReadinessOutput | None = None
    loss: QuantifyOutput | None = None
    decision: DecideOutput | None = None
    operations: OperationsOutput | None = None
    trust: TrustOutput | None = None
    sections: list[Section] = Field(default=[], max_length=50)


class ReportOutput(StepOutput):
    report_id: str = ""
    title: str = ""
    url: str = Field(default="", description="shareable link, signed; valid until expires_at, unless revoked")
    expires_at: datetime | None = None
    path: str | None = Field(default=None, description="the HTML file; null if it could not be written")
    markdown_path: str | None = None
    sha256: str = ""
    note: str = ""


class NoticesInput(StepInput):
    """The duties that are due, and what is known of the case; null is not known."""

    compliance: ComplianceOutput | None = None
    summary: str = Field(default="", max_length=20_000)
    severity: AnySeverity | None = None
    incident_type: Annotated[str, Field(max_length=100)] | None = None
    attack_vector: Annotated[str, Field(max_length=100)] | None = None
    data_categories: list[Annotated[str, Field(max_length=60)]] | None = Field(default=None, max_length=100)
    affected_records: int | None = Field(default=None, ge=0, le=10**12)
    residents: dict[str, Annotated[int, Field(ge=0, le=10**12)]] = Field(default={}, max_length=300)
    jurisdictions: list[Annotated[str, Field(max_length=60)]] = Field(default=[], max_length=300)
    cves: list[Annotated[str, Field(max_length=40)]] = Field(default=[], max_length=500)
    incident_at: Moment | None = None
    detected_at: Moment | None = None
    aware_at: Moment | None = None


class Notice(BaseModel):
    code: str = Field(description="of the duty")
    to: Literal["authority", "people", "others"]
    authority: str
    deadline: datetime | None
    law: str = Field(description="what asks for the fields")
    verified: bool = Field(description="the fields were read beside the text of the law; if not, check them")
    text: str = Field(description="Markdown; what is to be filled in says so")
    open: list[str] = Field(default=[], description="fields that people have to fill in or complete")


class NoticesOutput(StepOutput):
    notices: list[Notice] = []
    open_fields: int = 0
    without_template: list[str] = Field(default=[], description="duties that apply, whose fields are not known here")
    to_check: list[str] = Field(default=[], description="duties that may apply: decide first")
