"""Bad configuration fails at start-up, with a number."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register


@register()
def trace_settings(**_: Any) -> list[CheckMessage]:
    """monitoring.E001, monitoring.W002: which runs are traced, and where the traces go."""
    share = settings.ERIP_OTLP_TRACES
    if not 0 <= share <= 1:
        return [Error("ERIP_OTLP_TRACES must be from 0 to 1: it is a share of the runs.", id="monitoring.E001")]
    if share and not settings.ERIP_OTLP_ENDPOINT:
        return [
            Warning(
                "ERIP_OTLP_TRACES is set, but no trace is sent: ERIP_OTLP_ENDPOINT is empty.",
                hint="Set it to the address of OpenTelemetry's collector, as http://10.0.0.9:4318.",
                id="monitoring.W002",
            )
        ]
    return []
