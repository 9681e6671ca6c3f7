"""Signed statements of how the log looks: made every minute, kept, and sent out of the platform's reach.

Note [Checkpoints]
Who owns the database can rewrite the log, with its chain. What they cannot do is sign: the key is with the leader, not
in the database. And what they cannot reach is what was sent out before (`copies`). A checkpoint is a JSON object with
its number, its time, the SHA-256 of the checkpoint before it, and the log's size, head and root; its signature is
Ed25519 over exactly its bytes. The line that goes to a file or a bucket also holds the leaves since the last checkpoint
that was sent there: with them, `erip_verify.py` names the very entry that was rewritten, without them only the minute.

A checkpoint is also made when nothing happened, so that its absence is noticed.
"""

import base64
import hashlib
import hmac
import json
from functools import lru_cache
from typing import TYPE_CHECKING

from django.conf import settings

from erip.audit import copies, store

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PURPOSE = b"erip audit checkpoint"


def sign() -> bool:
    """Sign how far the log is sealed, keep it and send it out. Whether this process was the one to do so."""
    now = store.sealed()
    before = store.last_checkpoint()
    number, past, previous = (before[0], before[1], before[2]) if before else (0, 0, "")
    body = json.dumps(
        {
            "v": 1,
            "number": number + 1,
            "at": store.now_in_microseconds(),
            "previous": hashlib.sha256(previous.encode()).hexdigest(),
            "size": now.log.size,
            "head": now.log.head.hex(),
            "root": now.log.root.hex(),
            "key": key_id(),
        },
        separators=(",", ":"),
    )
    signature = base64.b64encode(_key().sign(body.encode())).decode()
    if not store.add_checkpoint(number + 1, now.log.size, body, signature):
        return False
    copies.send(f'{{"checkpoint":{body},"signature":"{signature}"}}', number + 1, past, now.log.size)
    return True


def public_key() -> bytes:
    """32 bytes: what an auditor keeps."""
    return _key().public_key().public_bytes_raw()


def key_id() -> str:
    """16 hexadecimal digits that name the key."""
    return hashlib.sha256(public_key()).hexdigest()[:16]


def signature_over(data: bytes) -> str:
    """Ed25519 by the same key, base64. data: begins with what it is, so that the signature is good for nothing else."""
    if data.startswith(b"{"):
        raise ValueError("a checkpoint begins with a brace; nothing else may")
    return base64.b64encode(_key().sign(data)).decode()


def is_signed(data: bytes, signature: str) -> bool:
    """Whether the signature (base64) is that of this key over `data`. Raises ValueError if it is no base64."""
    from cryptography.exceptions import InvalidSignature

    try:
        _key().public_key().verify(base64.b64decode(signature, validate=True), data)
    except InvalidSignature:
        return False
    return True


def _key() -> "Ed25519PrivateKey":
    return _key_of(settings.ERIP_AUDIT_KEY, settings.SECRET_KEY)


@lru_cache(maxsize=4)
def _key_of(own: str, secret: str) -> "Ed25519PrivateKey":
    """Raises ValueError if ERIP_AUDIT_KEY is not 32 bytes in base64."""
    # Here: every process knows this module, and few sign.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if own:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(own, validate=True))
    return Ed25519PrivateKey.from_private_bytes(hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256))
