"""The event bus' settings, typed: the only place in the event bus that reads Django's settings."""

from dataclasses import dataclass
from functools import cache

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Conf:
    partitions: int
    #: bytes of a request's body, as sent and as decompressed
    body_limit: int
    #: events in one request
    batch_limit: int
    #: seconds that a request waits while the database is away
    ingest_seconds: float
    #: seconds within which all waiting events must be served; otherwise new ones are refused
    bound: float
    #: events a second that consumers are assumed to serve at least
    min_rate: float
    #: events that may wait, whatever the rate
    max_backlog: int
    consume: bool
    #: threads of one consumer
    loops: int
    #: events of one partition in one transaction
    round: int
    #: seconds that a consumer under load may wait for more events
    flush: float
    #: seconds without a heartbeat after which a consumer's partitions are taken
    lease: float
    #: how often an event's effects are tried
    attempts: int
    dedupe_days: int
    #: months that events are kept; None is for ever
    keep_months: int | None
    #: types of lifecycle events, or beginnings of types and `*`
    always_log: list[str]
    #: seconds that a webhook may take
    webhook_timeout: float
    #: deliveries on their way to one endpoint at once
    webhook_in_flight: int
    #: of one worker
    webhook_threads: int
    #: seconds after its end at which a delivery is forgotten
    keep_deliveries: float
    #: streams of one process, and of one caller in it
    streams: int
    streams_per_caller: int
    #: events that may wait for a slow listener
    stream_buffer: int
    #: seconds
    stream_heartbeat: float


@cache
def conf() -> Conf:
    return Conf(
        partitions=settings.ERIP_EVENT_PARTITIONS,
        body_limit=settings.ERIP_EVENT_BODY_LIMIT,
        batch_limit=settings.ERIP_EVENT_BATCH_LIMIT,
        ingest_seconds=settings.ERIP_EVENT_INGEST_SECONDS,
        bound=settings.ERIP_EVENT_BOUND_SECONDS,
        min_rate=settings.ERIP_EVENT_MIN_RATE,
        max_backlog=settings.ERIP_EVENT_MAX_BACKLOG,
        consume=settings.ERIP_EVENT_CONSUME,
        loops=settings.ERIP_EVENT_LOOPS,
        round=settings.ERIP_EVENT_ROUND,
        flush=min(settings.ERIP_EVENT_FLUSH_SECONDS, 1.0),
        lease=settings.ERIP_EVENT_LEASE_SECONDS,
        attempts=settings.ERIP_EVENT_ATTEMPTS,
        dedupe_days=settings.ERIP_EVENT_DEDUPE_DAYS,
        keep_months=settings.ERIP_KEEP_EVENT_MONTHS,
        always_log=settings.ERIP_EVENTS_ALWAYS_LOG,
        webhook_timeout=settings.ERIP_EVENT_WEBHOOK_SECONDS,
        webhook_in_flight=settings.ERIP_EVENT_WEBHOOK_IN_FLIGHT,
        webhook_threads=settings.ERIP_EVENT_WEBHOOK_THREADS,
        keep_deliveries=settings.ERIP_EVENT_KEEP_DELIVERY_DAYS * 86_400.0,
        streams=settings.ERIP_EVENT_STREAMS,
        streams_per_caller=settings.ERIP_EVENT_STREAMS_PER_CALLER,
        stream_buffer=settings.ERIP_EVENT_STREAM_BUFFER,
        stream_heartbeat=settings.ERIP_EVENT_STREAM_HEARTBEAT_SECONDS,
    )
