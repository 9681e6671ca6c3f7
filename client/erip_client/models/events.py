"""Events, the log of them, dead letters, subscriptions, deliveries, and how the platform is."""

from datetime import datetime

from .base import Document, Json


class Accepted(Document):
    """duplicates: events left out, whose source and id stood in the request before."""

    accepted: int
    duplicates: int


class CloudEvent(Document):
    """A CloudEvent 1.0 in structured JSON. Its extensions are in `model_extra`."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str | None = None
    time: datetime | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    partitionkey: str | None = None
    data: Json = None
    data_base64: str | None = None


class LoggedEvent(Document):
    """position: its place in the log. sender: None for the platform's own."""

    position: str
    accepted_at: datetime
    logged_at: datetime
    sender: str | None
    event: CloudEvent


class RunOfEvent(Document):
    run_id: str
    trigger: str
    signalled: bool


class EventDetail(LoggedEvent):
    """runs: those that it started or gave a signal."""

    runs: list[RunOfEvent]


class Replayed(Document):
    """effects: of a dry run, how often each trigger or subscription would act."""

    target: str
    dry_run: bool
    events: int
    effects: dict[str, int]


class PartitionStatus(Document):
    """oldest_seconds: for how long the oldest event has waited. rate: events a second."""

    partition: int
    lag: int
    oldest_seconds: float | None
    rate: float
    position: int
    owner: str | None
    epoch: int


class ConsumerStatus(Document):
    """capacity: events a second, as measured."""

    worker: str
    worker_id: int
    alive: bool
    heartbeat_seconds: float
    capacity: float | None
    partitions: int


class EventsStatus(Document):
    """lag: events that wait. rate: events a second. dead_letters: that nobody has resolved."""

    lag: int
    rate: float
    dead_letters: int
    partitions: list[PartitionStatus]
    consumers: list[ConsumerStatus]


class LetterError(Document):
    code: str
    message: str


class DeadLetter(Document):
    """effect: what failed. target: which part of it, a trigger for example. status: open, retried, discarded."""

    id: int
    at: datetime
    position: str | None
    partition: int
    block: int | None
    offset: int | None
    effect: str
    target: str | None
    error: LetterError
    attempts: int
    status: str
    resolved_at: datetime | None
    resolved_by: str | None
    event: dict[str, Json]


class PendingStart(Document):
    """A run that events are gathered for. bytes: what is kept of them. open: it takes more events."""

    id: str
    workflow: str
    trigger: str
    business_key: str | None
    count: int
    bytes: int
    since: datetime
    due_at: datetime
    open: bool
    problem: str | None
    explain: str


class PendingStarts(Document):
    """items: the first 100 that are due. count: how many there are in all."""

    items: list[PendingStart]
    count: int


class PendingStartDetail(PendingStart):
    """events: their places in the log."""

    rule: dict[str, Json]
    events: list[str]


class PendingStartStarted(Document):
    run_id: str


class PendingStartDiscarded(Document):
    """events: how many became dead letters."""

    events: int


class Subscription(Document):
    id: str
    url: str
    types: list[str]
    source: str | None
    subject: str | None
    description: str
    enabled: bool
    created_at: datetime
    created_by: str
    secret_rotated_at: datetime | None
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_reason: str


class SubscriptionMade(Subscription):
    """secret: it is not shown again."""

    secret: str


class DeliveryAttempt(Document):
    """milliseconds: None while it goes on, or if its worker was lost. status: of the answer, if there was one."""

    number: int
    at: datetime
    milliseconds: int | None
    status: int | None
    error: str


class Delivery(Document):
    id: int
    webhook_id: str
    subscription: str
    type: str
    event_id: str
    position: str | None
    status: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    finished_at: datetime | None
    log: list[DeliveryAttempt]


class ScalingChange(Document):
    """A change of the number of workers. error: why it could not be carried out; empty if it was."""

    id: int
    at: datetime
    target: str
    direction: str
    before: int
    after: int
    emergency: bool
    reason: str
    measures: Json
    error: str


class AuditEntry(Document):
    """One thing that happened. entry: as it was written; role: PostgreSQL's, that wrote it."""

    id: int
    at: datetime
    role: str
    entry: dict[str, Json]


class Health(Document):
    """status: ready, degraded, unavailable, draining. database, broker: ok or unreachable; others: `model_extra`."""

    status: str
    database: str | None = None
    broker: str | None = None
