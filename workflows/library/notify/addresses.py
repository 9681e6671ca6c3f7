"""Whether an address can be a recipient at all: the same check in the admin and when a message is sent."""

import re
from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

from erip.foundation.outbound.addresses import Refused
from erip.foundation.outbound.hosts import BadHost, ascii_email
from erip.foundation.outbound.webhook import Target

_SPECIAL: Final = re.compile(r"[\s<>,;\x00-\x1f\x7f]")
# A machine within the network may have a name without a dot.
_VALID: Final = EmailValidator(message="is not an e-mail address", allowlist=["localhost"])


def email_of(address: str) -> str:
    """The address with its domain in ASCII (IDNA 2008). Raises ValueError."""
    text = address.strip()
    if len(text) > 320 or _SPECIAL.search(text):
        raise ValueError("is not one e-mail address")
    try:
        text = ascii_email(text)
        domain = text.rpartition("@")[2]
        _VALID(text if "." in domain or domain == "localhost" else f"{text}.example")
    except BadHost as error:
        raise ValueError(str(error)) from error
    except ValidationError as error:
        raise ValueError("is not an e-mail address") from error
    if not text.isascii():
        raise ValueError("has letters outside of ASCII before the @, which mail servers may not take")
    return text


def fault(kind: str, address: str) -> str | None:
    """Why nothing can be sent there, or None. Whether a webhook's host may be called is decided at the call."""
    try:
        if kind == "email":
            email_of(address)
        else:
            Target.of(address, allow_private=settings.ERIP_WEBHOOK_ALLOW_PRIVATE)
    except (Refused, ValueError) as error:
        return str(error)
    return None
