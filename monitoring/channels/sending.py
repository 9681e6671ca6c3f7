"""What channels by HTTP share."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from django.conf import settings

from erip.foundation.outbound.addresses import Refused, Unresolved
from erip.foundation.outbound.posting import DeliveryFailed, Target, send
from erip.foundation.outbound.webhook import post
from monitoring.channels.text import plain


class NotSent(Exception):
    """A message was not taken. lasting: another attempt would fare no better. after: seconds until one may."""

    def __init__(self, text: str, *, lasting: bool = False, after: float | None = None) -> None:
        super().__init__(text)
        self.lasting, self.after = lasting, after


def post_json(url: str, document: Mapping[str, Any]) -> None:
    """Raises NotSent, with what the receiver said about it."""
    _try(
        lambda now: send(
            url, orjson.dumps(document), {"Content-Type": "application/json"}, now=now, allow_private=allows_private()
        )
    )


def post_signed(url: str, secret: str, message: str, document: Mapping[str, Any]) -> None:
    """A POST of Standard Webhooks. Raises NotSent."""
    _try(
        lambda now: post(
            url,
            orjson.dumps(document).decode(),
            message_id=message,
            secret=secret,
            now=now,
            allow_private=allows_private(),
        )
    )


def _try(call: Any) -> None:
    try:
        call(datetime.now(UTC))
    except DeliveryFailed as error:
        said = plain(error.said, 200)
        text = f'{error}, and said "{said}"' if said else str(error)
        raise NotSent(text, lasting=not error.retryable, after=error.retry_after) from error
    except Unresolved as error:
        raise NotSent(str(error)) from error
    except Refused as error:
        raise NotSent(str(error), lasting=True) from error


def url_fault(url: str) -> str | None:
    """Why this URL may never be called."""
    try:
        Target.of(url, allow_private=allows_private())
    except Refused as error:
        return str(error)
    return None


def allows_private() -> bool:
    return bool(settings.ERIP_ALERT_ALLOW_PRIVATE)
