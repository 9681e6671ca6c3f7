"""Bad configuration of the front door fails at start-up, with a number."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from .addresses import networks


@register()
def door_settings(**_: Any) -> list[CheckMessage]:
    """door.E001: ERIP_TRUSTED_PROXIES holds addresses and networks."""
    bad = []
    for text in settings.ERIP_TRUSTED_PROXIES:
        try:
            networks([text])
        except ValueError as error:
            bad.append(f"{text!r}: {error}")
    if not bad:
        return []
    return [
        Error(
            f"ERIP_TRUSTED_PROXIES names what is no address and no network: {'; '.join(bad)}.",
            hint="For example 10.0.0.5 or 10.0.0.0/24, separated by commas.",
            id="door.E001",
        )
    ]


@register(Tags.security, deploy=True)
def proxies_are_named(**_: Any) -> list[CheckMessage]:
    """door.W002: behind a proxy that is not named all clients are one address, and anybody says that it uses TLS."""
    if settings.ERIP_TRUSTED_PROXIES or not settings.SECURE_PROXY_SSL_HEADER:
        return []
    return [
        Warning(
            "ERIP_TRUSTED_PROXIES names nobody, so X-Forwarded-For is ignored and X-Forwarded-Proto believed from all.",
            hint="Name the proxies in front of the web processes. Without any, this is no fault.",
            id="door.W002",
        )
    ]
