"""Tokens of shareable links: signed, so that nobody can forge one; looked up, so that one can be revoked.

A token carries the link's id and its expiry. It is made from these alone, so the same link has the same token.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.core import signing

_SALT = "workflows.library.beacon.link"


class NoLink(Exception):
    """The token was not made here, or was changed."""


class Expired(Exception):
    """The link's time is over."""


@dataclass(frozen=True, slots=True)
class Token:
    link: UUID
    expires_at: datetime


def write(link: UUID, expires_at: datetime) -> str:
    return signing.Signer(salt=_SALT).sign_object([link.hex, int(expires_at.timestamp())], compress=False)


def read(text: str, now: datetime) -> Token:
    """Raises NoLink or Expired."""
    # A token has about 120 characters; for a longer one the signature is not even checked.
    if len(text) > 400:
        raise NoLink
    try:
        name, seconds = signing.Signer(salt=_SALT).unsign_object(text)
        token = Token(UUID(hex=name), datetime.fromtimestamp(seconds, UTC))
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise NoLink from error
    if now >= token.expires_at:
        raise Expired
    return token
