"""Records of backups and drills."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

KINDS = ("backup", "drill", "switchover")


@dataclass(frozen=True, slots=True)
class Record:
    """body: JSON as it was signed. age: seconds, by the database's clock."""

    kind: str
    at: datetime
    ok: bool
    body: str
    signature: str
    age: float


def add(kind: str, ok: bool, body: str, signature: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_recoveryrecord (kind, ok, body, signature) VALUES (%s, %s, %s, %s)",
            [kind, ok, body, signature],
        )


def newest(*, ok: bool | None = None) -> dict[str, Record]:
    """The newest of each kind. ok: only of those that went well, or that did not."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT r.kind, r.at, r.ok, r.body, r.signature,
                   extract(epoch FROM clock_timestamp() - r.at)::float8
            FROM unnest(%s::text[]) AS k (kind), LATERAL (
                SELECT * FROM monitoring_recoveryrecord
                WHERE kind = k.kind AND (%s::boolean IS NULL OR ok = %s) ORDER BY at DESC, id DESC LIMIT 1) r
            """,
            [list(KINDS), ok, ok],
        )
        return {row[0]: Record(*row) for row in cursor.fetchall()}


def ages() -> dict[str, float]:
    """Seconds since each kind last went well; kinds that never did are not in it."""
    return {kind: record.age for kind, record in newest(ok=True).items()}
