"""Signed statements of how the log looks: made every minute, kept, and sent out of the platform's reach.

Note [Checkpoints]
Who owns the database can rewrite the log, with its chain. What they cannot do is sign: the key is with the leader, not
in the database. And what they cannot reach is what was sent out before. A checkpoint is a JSON object with its number,
its time, the SHA-256 of the checkpoint before it, and the log's size, head and root; its signature is Ed25519 over
exactly its bytes. The line that goes to the file also holds the leaves since the last checkpoint that was sent there:
with them, `erip_verify.py` names the very entry that was rewritten, without them only the minute.

A checkpoint is also made when nothing happened, so that its absence is noticed.
"""

import base64
import hashlib
import hmac
import json
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from erip.audit import store
from erip.foundation.outbound import posting
from erip.foundation.service import once

log = structlog.get_logger(__name__)

_PURPOSE = b"erip audit checkpoint"
#: seconds that a syslog server has to take a line
SYSLOG_SECONDS = 5.0
#: leaves in one line of the file: 16 MB
MOST_LEAVES = 250_000


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
    _send(body, signature, past, now.log.size)
    return True


def public_key() -> bytes:
    """32 bytes: what an auditor keeps."""
    return _key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id() -> str:
    """16 hexadecimal digits that name the key."""
    return hashlib.sha256(public_key()).hexdigest()[:16]


def signature_over(data: bytes) -> str:
    """Ed25519 by the same key, base64. data: begins with what it is, so that the signature is good for nothing else."""
    if data.startswith(b"{"):
        raise ValueError("a checkpoint begins with a brace; nothing else may")
    return base64.b64encode(_key().sign(data)).decode()


def _key() -> Ed25519PrivateKey:
    return _key_of(settings.ERIP_AUDIT_KEY, settings.SECRET_KEY)


@lru_cache(maxsize=4)
def _key_of(own: str, secret: str) -> Ed25519PrivateKey:
    """Raises ValueError if ERIP_AUDIT_KEY is not 32 bytes in base64."""
    if own:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(own, validate=True))
    return Ed25519PrivateKey.from_private_bytes(hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256))


# --- where copies go --------------------------------------------------------------------------------------


def _send(body: str, signature: str, past: int, size: int) -> None:
    """Nothing that goes wrong here keeps the leader from its work: it is logged, and the next copy is tried in a
    minute. Other machines are called in another thread, because the leader has steps to recover."""
    line = f'{{"checkpoint":{body},"signature":"{signature}"}}'
    if settings.ERIP_AUDIT_FILE:
        _try(settings.ERIP_AUDIT_FILE, lambda: _append(line, past, size))
    if settings.ERIP_AUDIT_SYSLOG:
        once("audit-syslog", lambda: _try(settings.ERIP_AUDIT_SYSLOG, lambda: _tell_syslog(line)))
    if settings.ERIP_AUDIT_WEBHOOK:
        once("audit-webhook", lambda: _try("the webhook", lambda: _post(line)))


def _try(to: str, send: Callable[[], object]) -> None:
    try:
        send()
    except (OSError, ValueError, posting.DeliveryFailed) as error:
        log.error("audit_checkpoint_not_sent", to=to, error=error)


def _append(line: str, past: int, size: int) -> None:
    """With the leaves since the last line of the file, whichever checkpoint that was."""
    path = Path(settings.ERIP_AUDIT_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        known = _size_in(file)
        start = known if known is not None and known <= size else past if file.tell() else 0
        if size - start > MOST_LEAVES:
            start = past
        leaves = store.leaves_between(start, size)
        if len(leaves) != 32 * (size - start) or size - start > MOST_LEAVES:
            leaves = b""
        file.seek(0, os.SEEK_END)
        file.write(f'{line[:-1]},"from":{start},"leaves":"{leaves.hex()}"}}\n'.encode())
        file.flush()
        os.fsync(file.fileno())


def _size_in(file: Any) -> int | None:
    """The size in the file's last checkpoint; None if it has none."""
    end = file.seek(0, os.SEEK_END)
    for reach in (1 << 16, 1 << 26):
        file.seek(max(0, end - reach))
        lines = file.read().splitlines()
        if len(lines) > 1 or (lines and end <= reach):
            try:
                return int(json.loads(lines[-1])["checkpoint"]["size"])
            except (ValueError, KeyError, TypeError):
                return None
    return None


def _tell_syslog(line: str) -> None:
    """RFC 3164, facility `auth`, to `udp://host:514`, `tcp://host:601` or the path of a socket. Raises OSError and
    ValueError."""
    message = f"<{4 * 8 + 5}>erip-audit: {line}".encode()
    scheme, _, rest = settings.ERIP_AUDIT_SYSLOG.partition("://")
    if not rest:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local:
            local.sendto(message, scheme)
        return
    host, _, port = rest.rpartition(":")
    address = (host.strip("[]"), int(port))
    if scheme == "tcp":
        with socket.create_connection(address, timeout=SYSLOG_SECONDS) as stream:
            stream.sendall(message + b"\n")
        return
    family, kind, protocol, _, to = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as datagrams:
        datagrams.sendto(message, to)


def _post(line: str) -> None:
    posting.send(
        settings.ERIP_AUDIT_WEBHOOK,
        line.encode(),
        {"Content-Type": "application/json"},
        now=datetime.now(UTC),
        allow_private=settings.ERIP_WEBHOOK_ALLOW_PRIVATE,
    )
