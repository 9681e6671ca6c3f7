"""Bad configuration fails at start-up, with a number."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from workflows.core.states import Lane

_BROKERS = ("redis://", "rediss://", "sentinel://")


@register()
def engine_settings(**_: Any) -> list[CheckMessage]:
    """workflows.E001 … E007: the engine's settings fit together."""
    found: list[CheckMessage] = []
    if settings.ERIP_LEASE_SECONDS < 2 * settings.ERIP_HEARTBEAT_SECONDS:
        found.append(
            Error(
                "ERIP_LEASE_SECONDS is less than two heartbeats: live workers would be taken for dead ones.",
                hint="Set it to at least twice ERIP_HEARTBEAT_SECONDS.",
                id="workflows.E001",
            )
        )
    if settings.ERIP_WORKER_THREADS < 1:
        found.append(Error("ERIP_WORKER_THREADS must be at least 1.", id="workflows.E002"))
    bad = [url for url in settings.ERIP_BROKER_URL.split(";") if not url.startswith(_BROKERS)]
    if bad:
        found.append(
            Error(
                "ERIP_BROKER_URL must be redis://, rediss:// or sentinel://, with a scheme on each of its URLs.",
                id="workflows.E003",
            )
        )
    bounds = [settings.ERIP_LANE_BOUNDS.get(lane, 0) for lane in Lane]
    if set(settings.ERIP_LANE_BOUNDS) != set(Lane) or not bounds[0] > 0 or bounds != sorted(bounds):
        found.append(
            Error(
                "ERIP_LANE_BOUNDS must name lanes only, with seconds that grow from critical to bulk.",
                hint="For example critical=2,high=10,standard=30,bulk=60.",
                id="workflows.E004",
            )
        )
    if not 0 < settings.ERIP_AGEING_AT < 1:
        found.append(Error("ERIP_AGEING_AT must be between 0 and 1.", id="workflows.E005"))
    if not (settings.ERIP_ADMISSION_MIN_RATE > 0 and settings.ERIP_ADMISSION_MAX_BACKLOG > 0):
        found.append(
            Error("ERIP_ADMISSION_MIN_RATE and ERIP_ADMISSION_MAX_BACKLOG must be above 0.", id="workflows.E006")
        )
    if settings.ERIP_ARCHIVE_AFTER_DAYS <= 0 or (settings.ERIP_KEEP_ARCHIVE_MONTHS or 1) < 1:
        found.append(
            Error(
                "ERIP_ARCHIVE_AFTER_DAYS must be above 0, and ERIP_KEEP_ARCHIVE_MONTHS at least 1 where it is set.",
                hint="Leave ERIP_KEEP_ARCHIVE_MONTHS out to keep archived runs for ever.",
                id="workflows.E007",
            )
        )
    return found
