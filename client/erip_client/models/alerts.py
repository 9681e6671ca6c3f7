"""Alerts, the rules that raise them, and silences."""

from datetime import datetime

from .base import Document, Json


class AlertCause(Document):
    """What may have caused an alert, as found when it began to fire or at the last call."""

    component: str
    members: list[str]
    began_by: datetime
    ongoing: bool
    sentence: str
    evidence: list[str]


class Alert(Document):
    """stage: pending, firing or resolved. severity: page or ticket. unknown: what it asks for is not known."""

    id: int
    rule: str
    labels: dict[str, str]
    number: int
    stage: str
    severity: str
    summary: str
    value: float | None
    unknown: bool
    since: datetime
    fired_at: datetime | None
    resolved_at: datetime | None
    announced: str | None
    acknowledged_at: datetime | None
    acknowledged_by: str
    note: str
    impact: dict[str, Json] | None
    impact_at: datetime | None
    causes: list[AlertCause] | None


class AlertRule(Document):
    """origin: shipped, or own: of this site."""

    name: str
    origin: str
    enabled: bool
    rule: dict[str, Json]


class BacktestChange(Document):
    at: datetime
    labels: dict[str, str]
    stage: str
    value: float | None


class Backtest(Document):
    """What a rule would have done: judgements (ticks), those without a value (missing), and how often it fired."""

    ticks: int
    missing: int
    fired: int
    firing: int
    changes: list[BacktestChange]


class Silence(Document):
    """rule: empty: any."""

    id: int
    rule: str
    labels: dict[str, str]
    reason: str
    created_at: datetime
    created_by: str
    ends_at: datetime


class AlertChannel(Document):
    """hears: all, pages or none. place: the host of its URL, or its e-mail address."""

    name: str
    kind: str
    hears: str
    place: str
    changed_at: datetime
    changed_by: str


class ChannelTest(Document):
    """error: why the test was not taken."""

    taken: bool
    error: str | None


class OnCallNow(Document):
    """instead_of: whose turn it would be. next: who is called after them."""

    rotation: str
    person: str
    instead_of: str | None
    until: datetime
    next: str


class OnCallOverride(Document):
    id: int
    rotation: str
    person: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    created_at: datetime
    created_by: str


class OnCall(Document):
    """now: who is on call, for each rotation."""

    plan: dict[str, Json]
    changed_at: datetime | None
    changed_by: str | None
    now: list[OnCallNow]
    overrides: list[OnCallOverride]


class Shift(Document):
    person: str
    starts: datetime
    ends: datetime
    instead_of: str | None


class OnCallCalendar(Document):
    """url: secret; whoever has it may read the calendar."""

    url: str
