"""Bad configuration fails at start-up, with a number."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

_BROKERS = ("redis://", "rediss://", "sentinel://")


@register()
def engine_settings(**_: Any) -> list[CheckMessage]:
    """workflows.E001 … E003: the engine's settings fit together."""
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
    return found
