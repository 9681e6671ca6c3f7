"""What beacon.report takes and gives."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from workflows.library.atlas.contract import PostureOutput
from workflows.library.clearance.contract import DecideOutput
from workflows.library.compass.contract import ComplianceOutput, ReadinessOutput
from workflows.library.nexus.contract import EnrichOutput
from workflows.library.prism.contract import QuantifyOutput
from workflows.library.trust.contract import OperationsOutput, TrustOutput
from workflows.library.vocabulary import StepInput, StepOutput


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
