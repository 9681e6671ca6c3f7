"""Groups of errors of one kind."""

from datetime import datetime

from .base import Document


class ErrorGroup(Document):
    """source: attempt, run, request, dead_letter, delivery or alert. state: open, resolved or ignored. regression: it
    is open because it was seen again after it had been resolved. Definitions are written as `name@version`."""

    id: int
    source: str
    what: str
    code: str
    type: str
    title: str
    place: str
    state: str
    regression: bool
    regressions: int
    count: int
    first_seen: datetime
    last_seen: datetime
    first_release: str
    last_release: str
    first_definition: str
    last_definition: str
    changed_at: datetime | None
    changed_by: str
    reason: str
    resolved_at: datetime | None
    resolved_release: str | None
    resolved_workflow: str | None
    resolved_version: int | None
    regressed_at: datetime | None


class ListedErrorGroup(ErrorGroup):
    """hours: errors in each of the last 24 hours, the oldest first."""

    hours: list[int]


class ErrorLink(Document):
    """kind: run, request, dead_letter, delivery or alert. detail: the step, the route, or the type of the event."""

    kind: str
    id: str
    at: datetime
    detail: str


class ErrorPart(Document):
    """A part of what makes errors one kind."""

    name: str
    value: str


class ErrorCount(Document):
    at: datetime
    count: int


class ErrorCounts(Document):
    """step: seconds that each count covers. What is not in items is 0."""

    step: int
    since: datetime
    until: datetime
    items: list[ErrorCount]


class ErrorGroupDetail(ErrorGroup):
    """why: what makes these errors one kind. links: the newest 20."""

    fingerprint: str
    why: list[ErrorPart]
    traceback: str
    links: list[ErrorLink]
    counts: ErrorCounts
