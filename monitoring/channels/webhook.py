"""Standard Webhooks: the message as it is, signed."""

import base64
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from monitoring.channels.sending import NotSent, post_signed, url_fault


def send(url: str, key: str, message: UUID, body: Mapping[str, Any]) -> None:
    if not secret_is_good(key):
        raise NotSent("the secret (of the settings: ERIP_ALERT_WEBHOOK_SECRET) is no `whsec_` and base64")
    post_signed(url, key, str(message), body)


def fault(url: str, key: str) -> str | None:
    if not secret_is_good(key):
        return "the key is no secret of Standard Webhooks: `whsec_` and at least 16 bytes in base64"
    return url_fault(url)


def secret_is_good(secret: str) -> bool:
    """Whether webhooks can be signed with it."""
    try:
        return secret.startswith("whsec_") and len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) >= 16
    except ValueError:
        return False
