"""All SQL of the log, apart from the entries themselves (`entries`)."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError, connection, transaction

from erip.audit.chain import Log


@dataclass(frozen=True, slots=True)
class Sealed:
    """How far the log is sealed."""

    number: int
    log: Log
    last_xid: int
    last_id: int
    floor: int


@dataclass(frozen=True, slots=True)
class Late:
    """An entry that is not sealed yet. canonical: the bytes that are hashed."""

    id: int
    xid: int
    body: str
    mac: str
    kind: str
    canonical: str


def sealed() -> Sealed:
    """The newest block; of an empty log, number 0."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT number, size, head, frontier, last_xid, last_id, floor FROM audit_block"
            " ORDER BY number DESC LIMIT 1"
        )
        row = cursor.fetchone()
    if row is None:
        return Sealed(0, Log(), 0, 0, 0)
    number, size, head, frontier, last_xid, last_id, floor = row
    kept = bytes(frontier)
    peaks = tuple(kept[at : at + 32] for at in range(0, len(kept), 32))
    return Sealed(number, Log(size, bytes(head), peaks), last_xid, last_id, floor)


def late_entries(after: Sealed, *, limit: int) -> list[Late]:
    """The next entries to seal, in the order of their transactions.

    Note [Sealing]
    An entry's transaction may commit long after the entry was written, and after others that began later. So an entry
    is sealed once no transaction that is as old or older can still commit: below `pg_snapshot_xmin`. What is sealed is
    therefore never overtaken, no writer waits for another, and no row is changed. A transaction that writes for an hour
    holds sealing up for that hour.

    A cluster that was restored from a dump counts its transactions from the beginning (`restored`): the entries of the
    dump then seem to come from the future. They are sealed once, and left alone from then on: they are those up to
    `floor`, because the sequence of the ids goes on where it was.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT e.id, e.xid, e.body, e.mac, e.kind, audit_canonical(e) FROM audit_entry e
            WHERE e.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint AND e.xid >= %s
              AND (e.xid, e.id) > (%s, %s) AND e.id > %s
            ORDER BY e.xid, e.id LIMIT %s
            """,
            [after.last_xid, after.last_xid, after.last_id, after.floor, limit],
        )
        return [Late(*row) for row in cursor.fetchall()]


def restored(after: Sealed) -> tuple[list[Late], int] | None:
    """If the log comes from another cluster, by a dump: its entries that were not sealed there, and the floor from now
    on. See Note [Sealing]."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        to_come = cursor.fetchone()[0]
        if after.last_xid < to_come:
            return None
        cursor.execute(
            """
            SELECT e.id, e.xid, e.body, e.mac, e.kind, audit_canonical(e) FROM audit_entry e
            LEFT JOIN (SELECT unnest(entries) AS id FROM audit_block) sealed ON sealed.id = e.id
            WHERE e.xid >= %s AND sealed.id IS NULL ORDER BY e.xid, e.id
            """,
            [to_come],
        )
        late = [Late(*row) for row in cursor.fetchall()]
        cursor.execute("SELECT coalesce(max(id), 0) FROM audit_entry WHERE xid >= %s", [to_come])
        return late, cursor.fetchone()[0]


def add_block(block: Sealed, late: Sequence[Late], leaves: Sequence[bytes]) -> bool:
    """Append a block of these entries; False if another process has just done so."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO audit_block (number, size, entries, leaves, head, frontier, last_xid, last_id, floor)
                VALUES (%s, %s, %s::bigint[], %s, %s, %s, %s, %s, %s)
                """,
                [
                    block.number,
                    block.log.size,
                    [each.id for each in late],
                    b"".join(leaves),
                    block.log.head,
                    b"".join(block.log.frontier),
                    block.last_xid,
                    block.last_id,
                    block.floor,
                ],
            )
    except IntegrityError:
        return False
    return True


def last_checkpoint() -> tuple[int, int, str] | None:
    """(number, size, body) of the newest one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT number, size, body FROM audit_checkpoint ORDER BY number DESC LIMIT 1")
        row: tuple[int, int, str] | None = cursor.fetchone()
    return row


def add_checkpoint(number: int, size: int, body: str, signature: str) -> bool:
    """Append a checkpoint; False if another process has just done so."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO audit_checkpoint (number, size, body, signature) VALUES (%s, %s, %s, %s)",
                [number, size, body, signature],
            )
    except IntegrityError:
        return False
    return True


def leaves_between(start: int, end: int) -> bytes:
    """The leaves at the positions start + 1 to end, 32 bytes each. Blocks end at both."""
    with connection.cursor() as cursor:
        cursor.execute(
            # Sizes grow with the numbers: from the newest block backwards, not through a long log.
            """
            SELECT leaves FROM audit_block
            WHERE number > coalesce(
                (SELECT number FROM audit_block WHERE size <= %s ORDER BY number DESC LIMIT 1), 0
            ) AND size <= %s ORDER BY number
            """,
            [start, end],
        )
        return b"".join(bytes(leaves) for (leaves,) in cursor.fetchall())


def now_in_microseconds() -> int:
    """The database's clock, since 1970."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        found: int = cursor.fetchone()[0]
    return found
