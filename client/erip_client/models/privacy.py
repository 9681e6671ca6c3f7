"""Sensitive data of runs and persons."""

from datetime import datetime

from .base import Document, Json


class OpenedStep(Document):
    """item: -1 is the step itself."""

    step: str
    item: int
    state: str
    input: Json
    output: Json
    error: Json


class OpenedRun(Document):
    """A run, with its sensitive data. None stands in place of what was erased."""

    id: str
    workflow: str
    business_key: str | None
    state: str
    input: Json
    output: Json
    error: Json
    started_by: str
    created_at: datetime
    steps: list[OpenedStep]


class OpenedEvent(Document):
    """An event of the log, with its sensitive data. None stands in place of what was erased."""

    position: str
    logged_at: datetime
    event: Json


class PersonExported(Document):
    """What runs and events say about a person. complete: False: there are more."""

    person: str
    runs: list[OpenedRun]
    events: list[OpenedEvent]
    complete: bool


class ErasureCertificate(Document):
    """That keys were destroyed. key_encryption_keys: names of those with which somebody could still read copies of the
    database from before; None: they could not be read, or the release is an earlier one."""

    number: int
    person: str
    keys: list[int]
    runs: int
    #: None: an earlier release made it
    events: int | None = None
    at: datetime
    by: str
    reason: str
    key_encryption_keys: list[str] | None = None
    says: str


class PersonErased(Document):
    """What was erased, or would be. certificate: None of a dry run."""

    person: str
    runs: int
    events: int
    going_on: int
    certificate: ErasureCertificate | None


class LegalHold(Document):
    """What is kept for the law. person: a fingerprint. classes: empty is all."""

    number: int
    person: str | None
    workflow: str | None
    run: str | None
    classes: list[str]
    data_since: datetime | None
    data_until: datetime | None
    reason: str
    by: str
    since: datetime
    ends_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None


class PastItsTime(Document):
    """Items of one class and workflow that go by one rule."""

    kind: str
    workflow: str | None
    items: int
    oldest: datetime | None
    newest: datetime | None
    kept_days: float | None
    why: str


class KeptLonger(Document):
    """Items that are past their time, or may be, and stay."""

    kind: str
    why: str
    items: int


class RetentionReport(Document):
    """What goes, or went. complete: False: not all was looked at."""

    items: list[PastItsTime]
    kept: list[KeptLonger]
    certificates: list[int]
    complete: bool
