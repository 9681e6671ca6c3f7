"""Whether the restored audit log is whole, and the living one its continuation."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from django.conf import settings

from erip.audit import checkpoints, erip_verify
from erip.management.drill.proofs import Proof

_LINES = "SELECT line FROM audit_lines ORDER BY number, part"
_NEWEST = "SELECT number, body FROM audit_checkpoint ORDER BY number DESC LIMIT 1"
_SAME = "SELECT body FROM audit_checkpoint WHERE number = %s"


def verify(living: Any, restored: Any) -> Proof:
    """living, restored: psycopg2 connections."""
    log, checked = erip_verify.verify(  # type: ignore[no-untyped-call]
        _lines(restored), (), checkpoints.public_key(), every=False
    )
    facts = {"entries": log.size, "checkpoints": len(log.checkpoints), "signatures": checked}
    if log.findings:
        return Proof("audit", False, f"The audit log is not whole: {log.findings[0]}"[:300], facts)
    if not log.checkpoints:
        return Proof("audit", None, "The audit log holds no checkpoint, so nothing is proven.", facts)
    ((number, body),) = _rows(restored, _NEWEST)
    same = _rows(living, _SAME, number)
    if not same:
        return Proof("audit", False, f"The living audit log has no checkpoint {number}: it is another history.", facts)
    if same[0][0] != body:
        return Proof("audit", False, f"The living audit log has another checkpoint {number}: it was rewritten.", facts)
    witnessed = _witnessed(number, body)
    if witnessed is False:
        return Proof("audit", False, f"The copy of checkpoint {number} in ERIP_AUDIT_FILE is another one.", facts)
    return Proof("audit", True, f"The {log.size} entries of the audit log are whole and signed.", facts)


def _witnessed(number: int, body: str) -> bool | None:
    """Whether the copy outside of the database says the same; None where there is none."""
    file = Path(settings.ERIP_AUDIT_FILE) if settings.ERIP_AUDIT_FILE else None
    if file is None or not file.exists():
        return None
    with file.open("rb") as lines:
        for line in lines:
            sent = erip_verify.Checkpoint.of(line.rstrip(b"\r\n"))  # type: ignore[no-untyped-call]
            if sent.number == number:
                return bool(sent.raw == body.encode())
    return None


def _lines(connection: Any) -> Iterator[bytes]:
    # A cursor of the server lives in a transaction: the log is not read into memory.
    connection.autocommit = False
    try:
        with closing(connection.cursor(name="drill_audit")) as cursor:
            cursor.itersize = 5_000
            cursor.execute(_LINES)
            for (line,) in cursor:
                yield f"{line}\n".encode()
    finally:
        connection.rollback()
        connection.autocommit = True


def _rows(connection: Any, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
