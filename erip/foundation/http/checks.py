"""Bad configuration of the front door fails at start-up, with a number."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from .addresses import networks

_LIMITS = (
    *("ERIP_BODY_GRACE_SECONDS", "ERIP_BODY_MIN_RATE", "ERIP_BODY_SECONDS", "ERIP_ANONYMOUS_FORMS"),
    *("ERIP_CONNECTIONS", "ERIP_CONNECTIONS_PER_ADDRESS", "ERIP_HEAD_SECONDS", "ERIP_STALL_SECONDS", "ERIP_STALLED"),
)


@register()
def door_settings(**_: Any) -> list[CheckMessage]:
    """door.E001: ERIP_TRUSTED_PROXIES holds addresses and networks. door.E002: the limits let something in."""
    bad = []
    for text in settings.ERIP_TRUSTED_PROXIES:
        try:
            networks([text])
        except ValueError as error:
            bad.append(f"{text!r}: {error}")
    found: list[CheckMessage] = []
    if bad:
        found.append(
            Error(
                f"ERIP_TRUSTED_PROXIES names what is no address and no network: {'; '.join(bad)}.",
                hint="For example 10.0.0.5 or 10.0.0.0/24, separated by commas.",
                id="door.E001",
            )
        )
    largest = max(settings.ERIP_API_BULK_BODY_LIMIT, settings.ERIP_API_BODY_LIMIT, 2 * settings.ERIP_EVENT_BODY_LIMIT)
    wrong = [f"{name} must be above 0" for name in _LIMITS if getattr(settings, name) <= 0]
    if 2 * largest > settings.ERIP_BODY_MEMORY:
        wrong.append(
            f"ERIP_BODY_MEMORY must be {2 * largest} or more, so that one caller's largest body fits in half of it"
        )
    if wrong:
        found.append(Error(f"{'; '.join(wrong)}.", id="door.E002"))
    return found


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
