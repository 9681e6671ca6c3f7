"""Workflows, their versions, and the steps that definitions can use."""

from datetime import datetime

from pydantic import Field

from .base import Document, Json


class Warned(Document):
    """Something that is valid, and may not be meant. path: where it is in the definition."""

    path: str
    message: str


class Published(Document):
    """hash: SHA-256 of the definition's canonical JSON."""

    name: str
    version: int
    hash: str
    warnings: list[Warned] = []


class Validated(Document):
    """steps: in an order in which they may run."""

    valid: bool
    name: str
    lane: str
    steps: list[str]
    warnings: list[Warned] = []


class RunDifference(Document):
    """path: in the run. stored: what it has there; then: what it would have."""

    path: str
    stored: str
    then: str


class RunOtherwise(Document):
    """A run that another definition would have made another one. ends: null: not known."""

    run_id: str
    business_key: str | None
    status: str
    open: bool
    differences: list[RunDifference]
    unknown: list[str]
    ends: str | None
    more: int


class RunsWhatIf(Document):
    compared: int
    different: int
    unknown: int
    items: list[RunOtherwise]
    next_cursor: str | None


class WorkflowListed(Document):
    """A workflow with its latest version."""

    name: str
    description: str
    version: int
    hash: str
    lane: str
    created_at: datetime
    published_at: datetime


class VersionListed(Document):
    version: int
    hash: str
    author: str
    created_at: datetime


class Workflow(WorkflowListed):
    """versions: the latest 100, newest first."""

    versions: list[VersionListed]


class WorkflowVersion(VersionListed):
    """media: the language of `source`, yaml or json. source: as it was published."""

    name: str
    media: str
    source: str
    definition: dict[str, Json]


class StepType(Document):
    """A step that definitions can use. timeout: in seconds. input, output: JSON Schemas."""

    name: str
    summary: str
    timeout: float
    idempotent: bool
    transactional: bool
    input: dict[str, Json]
    output: dict[str, Json]


class _Trigger(Document):
    name: str
    version: int
    workflow: str
    rule: dict[str, Json]
    enabled: bool
    deleted: bool
    description: str
    author: str
    created_at: datetime


class TriggerVersion(_Trigger):
    pass


class Trigger(_Trigger):
    """problem: why it is not asked, if it cannot be used."""

    problem: str | None


class TriggerDetail(Trigger):
    versions: list[TriggerVersion]


class TriggerStored(Document):
    name: str
    version: int
    changed: bool


class EventTypeListed(Document):
    type: str
    version: int
    description: str
    author: str
    created_at: datetime


class EventTypeVersion(EventTypeListed):
    schema_: dict[str, Json] = Field(alias="schema")


class EventTypeDetail(EventTypeVersion):
    versions: list[EventTypeVersion]


class EventTypeRegistered(Document):
    type: str
    version: int


class PauseInForce(Document):
    """A workflow or a lane (kind) that is paused, or whose runs are just going on. parked: runs that it holds."""

    kind: str
    name: str
    since: datetime
    clock: str
    by: str
    reason: str
    resumed_at: datetime | None
    resumed_by: str | None
    parked: int
