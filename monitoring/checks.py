"""What is wrong with the settings of PULSE, or allowed but seldom meant; each with a number."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

FRAMEWORKS = Path(__file__).parent / "controls" / "frameworks"


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


@register()
def control_frameworks(**_: Any) -> list[CheckMessage]:
    """monitoring.E003: the frameworks that are answered to exist."""
    known = {path.stem for path in FRAMEWORKS.glob("*.yaml")}
    return [
        Error(
            f"ERIP_CONTROL_FRAMEWORKS names {name!r}, which is no framework. Known are: {', '.join(sorted(known))}.",
            id="monitoring.E003",
        )
        for name in settings.ERIP_CONTROL_FRAMEWORKS
        if name not in known
    ]
