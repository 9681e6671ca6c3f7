"""The secrets that webhooks are signed with.

Note [Webhook secrets]
Signing needs the secret itself, so a hash of it would not do, and a stored secret can be stolen with a backup.
Therefore nothing is stored: the secret of a subscription is HMAC-SHA256, under ERIP_SECRET_KEY, of its id and the
number of its rotations. It is shown when it is made and when it is exchanged, and nobody can recover it without that
key. Changing ERIP_SECRET_KEY changes all secrets: rotate them then, and hand out the new ones. After a rotation both
secrets sign for a day, as Standard Webhooks advises, so that receivers can switch when it suits them.
"""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from workflows.events.models import Subscription

#: how long the former secret also signs
OVERLAP: Final = timedelta(hours=24)

_PURPOSE: Final = b"erip webhook secret"


def secret_of(subscription_id: str, version: int) -> str:
    """The secret as Standard Webhooks writes it: `whsec_…`, 32 bytes in base64."""
    # It is derived with a separate key, so that no other use of the setting can be made to reveal a secret.
    key = hmac.digest(settings.SECRET_KEY.encode(), _PURPOSE, hashlib.sha256)
    digest = hmac.digest(key, f"{subscription_id}\0{version}".encode(), hashlib.sha256)
    return f"whsec_{base64.b64encode(digest).decode()}"


def signing_secrets(subscription_id: str, version: int, rotated_at: datetime | None, now: datetime) -> list[str]:
    """The secrets that sign now, the current one first."""
    secrets = [secret_of(subscription_id, version)]
    if rotated_at is not None and now - rotated_at < OVERLAP:
        secrets.append(secret_of(subscription_id, version - 1))
    return secrets


def current_secret(subscription: Subscription) -> str:
    return secret_of(str(subscription.pk), subscription.secret_version)
