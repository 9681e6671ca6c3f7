"""Secrets of channels, as they are stored.

Note [Sealed]
A webhook's URL and a routing key are needed as they are to send, so a hash would not do; and a backup of the database
must not be enough to post to somebody's chat. So they are encrypted (Fernet) under a key that follows from
ERIP_SECRET_KEY. When that setting changes, they cannot be read any more: the channels say so, and are put again.
"""

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING

from django.conf import settings

from monitoring.channels import Destination

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

_PURPOSE = b"erip alert channel"


class Unreadable(ValueError):
    """It was sealed under another ERIP_SECRET_KEY: put the channel again."""


def seal(to: Destination) -> str:
    return _box().encrypt(json.dumps([to.kind, to.address, to.key]).encode()).decode()


def unseal(text: str) -> Destination:
    """Raises Unreadable."""
    from cryptography.fernet import InvalidToken

    try:
        kind, address, key = json.loads(_box().decrypt(text.encode()))
    except (InvalidToken, ValueError) as error:
        raise Unreadable("ERIP_SECRET_KEY was changed since this channel was put: put it again") from error
    return Destination(kind, address, key)


def _box() -> "Fernet":
    # Here: every process knows this module, and few have a channel to open.
    from cryptography.fernet import Fernet

    # A key of its own, so that no other use of the setting can be made to open it.
    key = hmac.digest(settings.SECRET_KEY.encode(), _PURPOSE, hashlib.sha256)
    return Fernet(base64.urlsafe_b64encode(key))
