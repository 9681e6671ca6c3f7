"""What is read of the log: the lines that `erip_verify.py` checks, and searches."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

#: lines fetched at a time
AT_A_TIME = 5_000


def lines() -> Iterator[str]:
    """The whole log, as the view `audit_lines` has it, at one moment. Holds a transaction open meanwhile."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Reading ten million entries takes longer than any other statement may.
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(
            "DECLARE audit_lines_read NO SCROLL CURSOR FOR SELECT line FROM audit_lines ORDER BY number, part"
        )
        while True:
            cursor.execute(f"FETCH {AT_A_TIME} FROM audit_lines_read")
            rows = cursor.fetchall()
            yield from (line for (line,) in rows)
            if len(rows) < AT_A_TIME:
                return


@dataclass(frozen=True, slots=True)
class Filter:
    """What is searched for; None is anything. since, until: aware. Entries older than id `before`."""

    principal: str | None = None
    object: str | None = None
    action: str | None = None
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An entry that was found. body: as it was written, JSON."""

    id: int
    at: datetime
    role: str
    body: str


def search(filter: Filter, *, limit: int) -> list[Found]:
    """The newest entries that fit, newest first."""
    conditions, parameters = ["true"], []
    for sql, value in (
        ("principal = %s", filter.principal),
        ("object = %s AND object <> ''", filter.object),
        ("action = %s", filter.action),
        ("kind = %s", filter.kind),
        ("at >= %s", filter.since),
        ("at < %s", filter.until),
        ("id < %s", filter.before),
    ):
        if value is not None:
            conditions.append(sql)
            parameters.append(value)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id, at, role, body FROM audit_entry WHERE {' AND '.join(conditions)}"  # noqa: S608  (constants)
            " ORDER BY id DESC LIMIT %s",
            [*parameters, limit],
        )
        return [Found(*row) for row in cursor.fetchall()]
