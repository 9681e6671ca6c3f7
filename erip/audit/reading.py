"""What is read of the log: the lines that `erip_verify.py` checks, and searches."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
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
    """An entry that was found. body: as it was written, JSON. changes: what its transaction changed, JSON."""

    id: int
    at: datetime
    role: str
    body: str
    changes: str | None

    def told(self) -> dict[str, Any]:
        """The entry's members, with `changes` among them."""
        return told(self.body, self.changes)


def told(body: str, changes: str | None) -> dict[str, Any]:
    """The members of an entry, with `changes` among them."""
    members: dict[str, Any] = orjson.loads(body)
    return members if changes is None else {**members, "changes": orjson.loads(changes)}


def search(filter: Filter, *, limit: int) -> list[Found]:
    """The newest entries that fit, newest first."""
    where, parameters = _where(filter)
    with connection.cursor() as cursor:
        cursor.execute(f"{_FIND} {where} ORDER BY id DESC LIMIT %s", [*parameters, limit])
        return [Found(*row) for row in cursor.fetchall()]


def walk(filter: Filter) -> Iterator[Found]:
    """All entries that fit, oldest first."""
    where, parameters = _where(filter)
    last = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            # An entry may be far from the next one that fits.
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute(f"{_FIND} {where} AND id > %s ORDER BY id LIMIT %s", [*parameters, last, AT_A_TIME])
            found = [Found(*row) for row in cursor.fetchall()]
        yield from found
        if len(found) < AT_A_TIME:
            return
        last = found[-1].id


_FIND = "SELECT id, at, role, body, changes FROM audit_entry WHERE"


def _where(filter: Filter) -> tuple[str, list[Any]]:
    conditions: list[str] = ["true"]
    parameters: list[Any] = []
    for sql, value in (
        ("principal = %s", filter.principal),
        ("object = %s AND NOT (object = '')", filter.object),
        ("action = %s", filter.action),
        ("kind = %s", filter.kind),
        ("at >= %s", filter.since),
        ("at < %s", filter.until),
        ("id < %s", filter.before),
    ):
        if value is not None:
            conditions.append(sql)
            parameters.append(value)
    return " AND ".join(conditions), parameters
