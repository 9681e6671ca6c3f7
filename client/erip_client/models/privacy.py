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


class PersonExported(Document):
    """What runs say about a person. complete: False: there are more runs."""

    person: str
    runs: list[OpenedRun]
    complete: bool


class ErasureCertificate(Document):
    """That keys were destroyed."""

    number: int
    person: str
    keys: list[int]
    runs: int
    at: datetime
    by: str
    reason: str
    says: str


class PersonErased(Document):
    """What was erased, or would be. certificate: None of a dry run."""

    person: str
    runs: int
    going_on: int
    certificate: ErasureCertificate | None
