"""Bad configuration of the front door fails at start-up, with a number."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

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
