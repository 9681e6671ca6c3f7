"""Encrypts what a second factor needs to be checked, so that a copy of the database opens nothing."""

import base64
import hashlib
import hmac
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

_PURPOSE = b"erip second factor"


class Unreadable(Exception):
    """It was sealed under another ERIP_SECRET_KEY, or somebody has changed it."""


def seal(plain: bytes) -> bytes:
    return _fernet().encrypt(plain)


def unseal(sealed: bytes) -> bytes:
    """Raises Unreadable."""
    try:
        return _fernet().decrypt(bytes(sealed))
    except InvalidToken as error:
        raise Unreadable from error


def digest(text: str) -> list[str]:
    """The digests by which a text is recognised, the current one first: keyed, 64 hexadecimal digits."""
    return [hmac.new(key, text.encode(), hashlib.sha256).hexdigest() for key in _keys()]


def _keys() -> list[bytes]:
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return [_key(str(secret)) for secret in secrets]


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in _keys()])


@lru_cache(maxsize=8)
def _key(secret: str) -> bytes:
    return hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)
