"""What is allowed, but seldom meant: a warning, with a number."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register


@register()
def trace_settings(**_: Any) -> list[CheckMessage]:
    """monitoring.W002: runs are traced, but the traces go nowhere."""
    if settings.ERIP_OTLP_TRACES and not settings.ERIP_OTLP_ENDPOINT:
        return [
            Warning(
                "ERIP_OTLP_TRACES is set, but no trace is sent: ERIP_OTLP_ENDPOINT is empty.",
                hint="Set it to the address of OpenTelemetry's collector, as http://10.0.0.9:4318.",
                id="monitoring.W002",
            )
        ]
    return []
