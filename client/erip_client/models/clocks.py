"""Legal clocks, and how their deadlines came about."""

from datetime import datetime

from .base import Document, Json


class SkippedDay(Document):
    day: str
    why: str


class ClockReading(Document):
    """One reading of the law, so that it can be recomputed by hand."""

    at: datetime
    zone: str
    place: str
    article: str
    skipped: list[SkippedDay]
    how: list[str]


class ClockExplanation(Document):
    due: ClockReading
    arguable: ClockReading
    clocks: Json
    moments: Json
    assumed: list[str]
    places: list[str]
    facts: list[str]


class LegalClock(Document):
    """due_at: the earliest reading of the law, which alarms. verified: the official wording was read."""

    id: int
    run_id: str
    workflow: str
    obligation: str
    regime: str
    title: str
    authority: str
    wording: str
    citation: str
    source_url: str
    verified: bool
    reviewed_on: str | None
    state: str
    trigger: str
    since: datetime | None
    due_at: datetime | None
    arguable_until: datetime | None
    provisional: bool
    doubt: str
    overdue: bool
    late: bool
    stops: Json
    extended: Json
    filed: Json
    history: Json
    versions: Json
    explanation: ClockExplanation | None


class ClockChange(Document):
    clock: int
    obligation: str
    what: str
    due_before: datetime | None
    due_at: datetime | None


class Reassessed(Document):
    """What a new fact or a change of the law did to the clocks of a case."""

    id: int
    run_id: str
    workflow: str
    at: datetime
    cause: str
    by: str
    reason: str
    changes: list[ClockChange]
