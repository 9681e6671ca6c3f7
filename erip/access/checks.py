"""Bad configuration ends a command before it starts, with a number.

Workers and the web do not ask: Note [Checks without the web] in `erip.foundation.process.checking`.
"""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from .sign_in.providers import configured as providers_configured
from .tokens.issuers import BadIssuers, configured


@register()
def issuers(**_: Any) -> list[CheckMessage]:
    """access.E001: ERIP_TOKEN_ISSUERS can be used. One fault each."""
    try:
        configured()
    except BadIssuers as error:
        return [Error(f"ERIP_TOKEN_ISSUERS {fault}", id="access.E001") for fault in error.faults]
    return []


@register()
def providers(**_: Any) -> list[CheckMessage]:
    """access.E002: ERIP_SIGN_IN_PROVIDERS can be used. One fault each."""
    try:
        providers_configured.configured()
    except providers_configured.BadProviders as error:
        return [Error(f"ERIP_SIGN_IN_PROVIDERS {fault}", id="access.E002") for fault in error.faults]
    return []
