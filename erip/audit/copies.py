"""Where copies of checkpoints go: a file, syslog, a webhook, and a bucket that keeps them."""

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.db import connection

from erip.audit import store
from erip.audit.bucket import bucket_of_settings
from erip.foundation.outbound import posting
from erip.foundation.service import once

log = structlog.get_logger(__name__)

#: seconds that a syslog server has to take a line
SYSLOG_SECONDS = 5.0
#: leaves in one line of the file: 16 MB
MOST_LEAVES = 250_000


def send(line: str, number: int, past: int, size: int) -> None:
    """line: the checkpoint and its signature, JSON. number: the checkpoint's. past, size: entries in the log at the
    checkpoint before it, and at this one.

    Nothing that goes wrong here keeps the leader from its work: it is logged, and the next copy is tried in a minute.
    Other machines are called in another thread, because the leader has steps to recover.
    """
    if settings.ERIP_AUDIT_FILE:
        _try(settings.ERIP_AUDIT_FILE, lambda: _append(line, past, size))
    if settings.ERIP_AUDIT_SYSLOG:
        once("audit-syslog", lambda: _try(settings.ERIP_AUDIT_SYSLOG, lambda: _tell_syslog(line)))
    if settings.ERIP_AUDIT_WEBHOOK:
        once("audit-webhook", lambda: _try("the webhook", lambda: _post(line)))
    if settings.ERIP_AUDIT_S3:
        once("audit-s3", lambda: _try(settings.ERIP_AUDIT_S3, lambda: _put(line, number, past, size)))


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
        file.seek(0, os.SEEK_END)
        file.write(_with_leaves(line, start, size))
        file.flush()
        os.fsync(file.fileno())


def _with_leaves(line: str, start: int, size: int) -> bytes:
    """The line of a file: the checkpoint with the leaves at the positions start + 1 to size."""
    leaves = store.leaves_between(start, size) if size - start <= MOST_LEAVES else b""
    if len(leaves) != 32 * (size - start):
        leaves = b""
    return f'{line[:-1]},"from":{start},"leaves":"{leaves.hex()}"}}\n'.encode()


def _size_in(file: Any) -> int | None:
    """The size in the file's last checkpoint; None if it has none."""
    end = file.seek(0, os.SEEK_END)
    for reach in (1 << 16, 1 << 26):
        file.seek(max(0, end - reach))
        lines = file.read().splitlines()
        if len(lines) > 1 or (lines and end <= reach):
            try:
                return int(orjson.loads(lines[-1])["checkpoint"]["size"])
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


def _put(line: str, number: int, past: int, size: int) -> None:
    """An object for each checkpoint, which has the leaves since the newest one that is there."""
    try:
        bucket = bucket_of_settings()
        start = bucket.size_before(number)
        if start is None or start > size or size - start > MOST_LEAVES:
            start = past
        bucket.put(number, size, _with_leaves(line, start, size))
    finally:
        # This thread ends, and with it its connection.
        connection.close()
