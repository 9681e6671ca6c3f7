"""Encryption at rest: data keys that encrypt, and key-encryption keys that encrypt data keys.

Note [Envelopes]
What is kept encrypted has a data key of its own: 32 random bytes, used with AES-GCM (NIST SP 800-38D). Beside it stands
the data key itself, encrypted ("wrapped") with the key-encryption key that is in force, and the name of that key. The
key-encryption keys are no part of the database: they come from ERIP_ENCRYPTION_KEYS_FILE, or from
ERIP_ENCRYPTION_KEYS. So a backup without them is unreadable, and another key-encryption key needs no new encryption of
the data: only data keys are wrapped anew.

The first key of the list wraps; all of them unwrap. To rotate: put a new one in front everywhere, wrap anew, and remove
the old one. Without either setting there is one key, named `derived`, that follows from ERIP_SECRET_KEY. In a list the
line `derived`, a name without a key, stands for it: so a platform that began without a list can rotate it away.

Each ciphertext is bound to what it is about (`about`, the associated data): one that is moved to another row is not
decrypted. A nonce is 12 random bytes and stands before its ciphertext.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.conf import settings

from erip.foundation.errors import EripError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE: Final = 12
KEY: Final = 32
_PURPOSE: Final = b"erip encryption at rest"
_LINE: Final = re.compile(r"([a-z0-9][a-z0-9-]{0,31}):([A-Za-z0-9+/]{43}=)")
DERIVED: Final = "derived"
_HIDDEN: Final = re.compile(r"hidden:[A-Za-z0-9_-]{43}", re.ASCII)


class KeysInvalid(EripError):
    """The key-encryption keys cannot be read. Each line is `name:key`, with 32 bytes in base64; see
    `manage.py secrets new-key`."""

    code = "encryption_keys_invalid"
    status = 503
    says_no_data = True


class KeyMissing(EripError):
    """The key-encryption key that this is encrypted with is not there. Put it back into the list of keys."""

    code = "encryption_key_missing"
    status = 503
    says_no_data = True


class NotDecrypted(EripError):
    """The stored bytes are not what was encrypted for this, or were changed since."""

    code = "not_decrypted"
    status = 500
    says_no_data = True


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A data key, as it is stored."""

    #: the name of the key-encryption key
    by: str
    key: bytes


def new_key() -> bytes:
    """A data key, or a key-encryption key."""
    return os.urandom(KEY)


def encrypt(key: bytes, plain: bytes, *, about: str) -> bytes:
    """The nonce and the ciphertext."""
    nonce = os.urandom(NONCE)
    return nonce + _cipher()(key).encrypt(nonce, plain, about.encode())


def decrypt(key: bytes, stored: bytes, *, about: str) -> bytes:
    """Raises NotDecrypted."""
    try:
        return _cipher()(key).decrypt(stored[:NONCE], stored[NONCE:], about.encode())
    except (_invalid(), ValueError):
        raise NotDecrypted from None


@cache
def _cipher() -> "type[AESGCM]":
    """Loaded with the first key, in 10 ms: a process that encrypts nothing does without these 7 MB."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM


@cache
def _invalid() -> type[Exception]:
    from cryptography.exceptions import InvalidTag

    return InvalidTag


def derive(key: bytes, salt: bytes, *, about: str) -> bytes:
    """A key that nobody can compute without both the key and the salt: HMAC-SHA256."""
    return hmac.digest(key, _PURPOSE + salt + about.encode(), hashlib.sha256)


def wrap(key: bytes, *, about: str) -> Wrapped:
    """A data key, encrypted with the key-encryption key that is in force. Raises KeysInvalid."""
    by, own = next(iter(_keys().items()))
    return Wrapped(by, encrypt(own, key, about=f"{by} {about}"))


def unwrap(wrapped: Wrapped, *, about: str) -> bytes:
    """The data key. Raises KeysInvalid, KeyMissing, NotDecrypted."""
    own = _keys().get(wrapped.by)
    if own is None:
        raise KeyMissing(f"The key-encryption key {wrapped.by!r} is not there. Put it back into the list of keys.")
    return decrypt(own, wrapped.key, about=f"{wrapped.by} {about}")


def in_force() -> str:
    """The name of the key that wraps. Raises KeysInvalid."""
    return next(iter(_keys()))


def names() -> list[str]:
    """Of the keys that unwrap here. Raises KeysInvalid."""
    return list(_keys())


def fingerprint(text: str, *, purpose: str) -> bytes:
    """32 bytes by which a text is found again without being stored: HMAC-SHA256, under a key that follows from
    ERIP_SECRET_KEY."""
    key = hmac.digest(settings.SECRET_KEY.encode(), _PURPOSE + purpose.encode(), hashlib.sha256)
    return hmac.digest(key, text.encode(), hashlib.sha256)


def fingerprints() -> dict[str, str]:
    """16 hexadecimal digits that name each key-encryption key, and ERIP_SECRET_KEY, without saying anything of it: by
    scrypt, as a secret key may be a text that somebody made up. Raises KeysInvalid."""
    known = {**_keys(), "secret-key": settings.SECRET_KEY.encode()}
    return {name: _fingerprint_of(key) for name, key in known.items()}


@lru_cache(maxsize=16)
def _fingerprint_of(key: bytes) -> str:
    return hashlib.scrypt(key, salt=_PURPOSE + b" fingerprint", n=1 << 14, r=8, p=1, dklen=8).hex()


def hidden(text: str) -> str:
    """What stands in place of a text that is sensitive and must be found again: `hidden:` and a keyed hash. Of one that
    has this form already, itself."""
    if _HIDDEN.fullmatch(text):
        return text
    digest = base64.urlsafe_b64encode(fingerprint(text, purpose=" hidden text"))
    return f"hidden:{digest.decode().rstrip('=')}"


def _keys() -> dict[str, bytes]:
    file: str = settings.ERIP_ENCRYPTION_KEYS_FILE
    if not file:
        return _read("\n".join(settings.ERIP_ENCRYPTION_KEYS), settings.SECRET_KEY)
    try:
        return _read(Path(file).read_text(), settings.SECRET_KEY, needed=True)
    except (OSError, UnicodeDecodeError) as error:
        raise KeysInvalid(f"ERIP_ENCRYPTION_KEYS_FILE cannot be read: {type(error).__name__}.") from None


@lru_cache(maxsize=4)
def _read(text: str, secret_key: str, *, needed: bool = False) -> dict[str, bytes]:
    """needed: whether a list without keys is wrong. Raises KeysInvalid."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines and not needed:
        lines = [DERIVED]
    found: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        name, key = _key_in(line, secret_key)
        if len(key) != KEY or name in found:
            message = f"Line {number} of the key-encryption keys is not `name:key`, or its name is there twice."
            raise KeysInvalid(message)
        found[name] = key
    if not found:
        raise KeysInvalid("The list of key-encryption keys is empty.")
    return found


def _key_in(line: str, secret_key: str) -> tuple[str, bytes]:
    """The name and the key; no key if the line is wrong."""
    if line == DERIVED:
        return DERIVED, hmac.digest(secret_key.encode(), _PURPOSE, hashlib.sha256)
    match = _LINE.fullmatch(line)
    try:
        return (match[1], base64.b64decode(match[2], validate=True)) if match else ("", b"")
    except binascii.Error:
        return "", b""
