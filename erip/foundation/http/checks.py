"""What is allowed at the front door, but seldom meant: a warning, with a number."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register


@register(Tags.security, deploy=True)
def proxies_are_named(**_: Any) -> list[CheckMessage]:
    """door.W002: behind a proxy that is not named, all clients have one address, and any client can claim to use
    TLS."""
    if settings.ERIP_TRUSTED_PROXIES or not settings.SECURE_PROXY_SSL_HEADER:
        return []
    return [
        Warning(
            "ERIP_TRUSTED_PROXIES names nobody, so X-Forwarded-For is ignored and X-Forwarded-Proto believed from all.",
            hint="Name the proxies in front of the web processes. Without any, this is no fault.",
            id="door.W002",
        )
    ]
