"""Checks that make a bad configuration of the event bus fail at start-up, with a number."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

#: a setting's name, its minimum and its maximum
_RANGES: tuple[tuple[str, float, float], ...] = (
    ("ERIP_EVENT_PARTITIONS", 1, 1024),
    ("ERIP_EVENT_BODY_LIMIT", 1024, 64 * 1024 * 1024),
    ("ERIP_EVENT_BATCH_LIMIT", 1, 100_000),
    ("ERIP_EVENT_INGEST_SECONDS", 0, 60),
    ("ERIP_EVENT_BOUND_SECONDS", 1, 3600),
    ("ERIP_EVENT_MIN_RATE", 1, 1_000_000),
    ("ERIP_EVENT_MAX_BACKLOG", 1, 100_000_000),
    ("ERIP_EVENT_LOOPS", 1, 16),
    ("ERIP_EVENT_ROUND", 1, 5_000),
    ("ERIP_EVENT_FLUSH_SECONDS", 0, 1),
    ("ERIP_EVENT_LEASE_SECONDS", 1, 60),
    ("ERIP_EVENT_ATTEMPTS", 1, 100),
    ("ERIP_EVENT_DEDUPE_DAYS", 1, 3650),
    ("ERIP_EVENT_WEBHOOK_SECONDS", 1, 60),
    ("ERIP_EVENT_WEBHOOK_IN_FLIGHT", 1, 100),
    ("ERIP_EVENT_WEBHOOK_THREADS", 1, 100),
    ("ERIP_EVENT_KEEP_DELIVERY_DAYS", 1, 3650),
    ("ERIP_EVENT_STREAMS", 1, 100_000),
    ("ERIP_EVENT_STREAMS_PER_CALLER", 1, 100_000),
    ("ERIP_EVENT_STREAM_BUFFER", 10, 100_000),
    ("ERIP_EVENT_STREAM_HEARTBEAT_SECONDS", 1, 60),
)


@register()
def event_settings(**_: Any) -> list[CheckMessage]:
    """events.E001: a setting is out of its range; events.E002: months to keep."""
    found: list[CheckMessage] = [
        Error(f"{name} must be between {least:g} and {most:g}.", id="events.E001")
        for name, least, most in _RANGES
        if not least <= getattr(settings, name) <= most
    ]
    months = settings.ERIP_KEEP_EVENT_MONTHS
    if months is not None and months < 1:
        found.append(
            Error(
                "ERIP_KEEP_EVENT_MONTHS must be at least 1 where it is set.",
                hint="Leave it out to keep the log for ever.",
                id="events.E002",
            )
        )
    return found
