"""One signed POST to an address that was checked, as Standard Webhooks defines it (https://www.standardwebhooks.com)."""

import ssl
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook

from erip.foundation.outbound.addresses import Resolver, resolve
from erip.foundation.outbound.posting import TIMEOUT_SECONDS, DeliveryFailed, Target, send

__all__ = ["DeliveryFailed", "Target", "post"]


def post(
    url: str,
    body: str,
    *,
    message_id: str,
    secret: str | Sequence[str],
    now: datetime,
    allow_private: bool,
    content_type: str = "application/json",
    timeout: float = TIMEOUT_SECONDS,
    resolver: Resolver = resolve,
    context: ssl.SSLContext | None = None,
) -> str:
    """Deliver. Returns the status line. Raises Refused, Unresolved or DeliveryFailed.

    now: aware, the signature's time. message_id: the same at every attempt; receivers recognise repeats by it.
    secret: if there are several, each signs: while a secret is being replaced, receivers accept either.
    """
    secrets = [secret] if isinstance(secret, str) else secret
    headers = {
        "Content-Type": content_type,
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(each).sign(message_id, now, body) for each in secrets),
    }
    return send(
        url,
        body.encode(),
        headers,
        now=now,
        allow_private=allow_private,
        timeout=timeout,
        resolver=resolver,
        context=context,
    )
