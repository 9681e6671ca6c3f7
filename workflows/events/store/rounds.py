"""The statements of a consumer's transaction. See Note [Once] in `workflows.events`.

All functions but `waiting` belong in one transaction, in this order: `read`, `remember`, `log`, the effects,
`finish`.

Note [Rounds commit lazily]
A round is committed with `synchronous_commit = off`. If PostgreSQL crashes, it may lose a round, but only as a whole:
the events are then in the journal again, and their effects never happened. And a later synchronous commit, such as the
outcome of a run that the round started, also writes the round to the disk. So nothing is lost or done twice, and a
round does not wait for the disk.
"""

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from django.db import connection

from workflows.core.blocks import Columns

#: COPY's
_NULL = "\\N"
#: bytes that are handed over to PostgreSQL at once
_COPIED_AT_ONCE = 64 * 1024
#: blocks of one partition that are looked at for one round
_MOST_BLOCKS = 200


@dataclass(frozen=True, slots=True)
class StoredBlock:
    seq: int
    events: int
    done: int
    accepted_at: datetime
    body: bytes
    replay: str | None


@dataclass(slots=True)
class Taken:
    """A partition whose row this transaction has locked, and the blocks that wait in it."""

    number: int
    position: int
    blocks: list[StoredBlock] = field(default_factory=list)


def waiting(partitions: Collection[int]) -> list[int]:
    """Which of these partitions have events waiting. Needs no transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p FROM unnest(%s::int[]) p WHERE EXISTS (SELECT FROM events_block WHERE partition = p)",
            [list(partitions)],
        )
        return [row[0] for row in cursor.fetchall()]


def read(worker_id: int, limits: Mapping[int, int]) -> tuple[datetime, list[Taken]]:
    """Lock those of these partitions that are the worker's, and read what waits in them, oldest first.

    limits: partition → how many events to read; whole blocks are read, so there may be more. Also returns the
    database's time after the locks, so that what is logged now is later than everything logged there before.
    """
    numbers = sorted(limits)
    with connection.cursor() as cursor:
        # Two statements: the second sees what was committed before the first had its locks.
        cursor.execute(
            _READ,
            {
                "me": worker_id,
                "numbers": numbers,
                "limits": [limits[number] for number in numbers],
                "blocks": _MOST_BLOCKS,
            },
        )
        rows = cursor.fetchall()
    taken: dict[int, Taken] = {}
    now = datetime.now(UTC)  # does not matter where nothing waits
    for now, number, position, seq, events, done, accepted_at, body, replay in rows:  # noqa: B007
        partition = taken.get(number)
        if partition is None:
            partition = taken[number] = Taken(number, position)
        partition.blocks.append(StoredBlock(seq, events, done, accepted_at, bytes(body), replay))
    return now, list(taken.values())


_READ = """
SET LOCAL synchronous_commit = off;
SELECT FROM events_partition WHERE number = ANY(%(numbers)s) AND owner_id = %(me)s ORDER BY number FOR NO KEY UPDATE;
SELECT (SELECT clock_timestamp()), p.number, p.position, b.seq, b.events, b.done, b.accepted_at, b.body, b.replay
FROM unnest(%(numbers)s, %(limits)s) AS want (number, most)
JOIN events_partition p ON p.number = want.number AND p.owner_id = %(me)s
CROSS JOIN LATERAL (
    SELECT seq, events, done, accepted_at, body, replay, sum(events - done) OVER (ORDER BY seq) AS upto
    FROM (SELECT * FROM events_block WHERE partition = p.number ORDER BY seq LIMIT %(blocks)s) oldest) b
WHERE b.upto - (b.events - b.done) < want.most
ORDER BY p.number, b.seq
"""


def remember(digests: Sequence[str], at: datetime) -> set[str]:
    """Remember these identities. Returns those that were known before. digests: 32 hexadecimal digits each."""
    if not digests:
        return set()
    with connection.cursor() as cursor:
        # Nearly always all of them are new: then their number is the answer, and not a row for each.
        cursor.execute(
            """
            WITH fresh AS (INSERT INTO events_identity (digest, logged_at) SELECT d, %s FROM unnest(%s::uuid[]) d
                           ON CONFLICT DO NOTHING RETURNING digest),
                 counted AS (SELECT count(*) AS number FROM fresh)
            SELECT number, digest::text FROM counted LEFT JOIN fresh ON number < %s
            """,
            [at, "{" + ",".join(sorted(digests)) + "}", len(digests)],
        )
        rows = cursor.fetchall()
    if rows[0][0] == len(digests):
        return set()
    return set(digests).difference(digest.replace("-", "") for _, digest in rows if digest is not None)


def log(lines: Sequence[str]) -> None:
    """Append these lines, made by `log_line` and `log_lines`, to the log."""
    if not lines:
        return
    with connection.cursor() as cursor:
        cursor.copy_expert(
            "COPY events_event (partition, position, logged_at, accepted_at, type, source, subject, event_id, event, "
            "sender) FROM STDIN",
            io.BytesIO("".join(lines).encode()),
            size=_COPIED_AT_ONCE,
        )


@lru_cache(maxsize=1_000)
def _escaped(name: str) -> str:
    """The name of a principal, which may hold anything."""
    for letter, written in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        name = name.replace(letter, written)
    return name


def log_line(
    partition: int,
    position: int,
    logged_at: str,
    accepted_at: str,
    type_: str,
    source: str,
    subject: str | None,
    id_: str,
    text: str,
    sender: str | None = None,
) -> str:
    """One event in COPY's text format. Its attributes have no control characters, and its JSON no raw line breaks: so
    nothing but backslashes needs escaping."""
    told = "\\N" if subject is None else subject.replace("\\", "\\\\")
    sent_by = "\\N" if sender is None else _escaped(sender)
    return (
        f"{partition}\t{position}\t{logged_at}\t{accepted_at}\t{type_}\t{source}\t{told}\t{id_}\t{text}\t{sent_by}\n"
        if "\\" not in text and "\\" not in type_ and "\\" not in source and "\\" not in id_
        else "\t".join(
            [
                f"{partition}\t{position}\t{logged_at}\t{accepted_at}",
                type_.replace("\\", "\\\\"),
                source.replace("\\", "\\\\"),
                told,
                id_.replace("\\", "\\\\"),
                text.replace("\\", "\\\\"),
                sent_by,
            ]
        )
        + "\n"
    )


def log_lines(
    partition: int, position: int, logged_at: str, accepted_at: str, of: Columns, first: int, upto: int
) -> str:
    """The events of a block from `first` to `upto`, the first of them at `position`, as `log_line` writes each."""
    senders = of.senders if isinstance(of.senders, list) else [of.senders] * len(of.types)
    each = zip(
        range(position, position + upto - first),
        of.types[first:upto],
        of.sources[first:upto],
        of.subjects[first:upto],
        of.ids[first:upto],
        of.texts[first:upto],
        senders[first:upto],
        strict=True,
    )
    if b"\\" in of.plain:
        return "".join(
            log_line(partition, place, logged_at, accepted_at, type_, source, subject, id_, text.decode(), sender)
            for place, type_, source, subject, id_, text, sender in each
        )
    times = f"\t{logged_at}\t{accepted_at}\t"
    sent_by = {sender: "\\N" if sender is None else _escaped(sender) for sender in set(senders)}
    return "".join(
        [
            f"{partition}\t{place}{times}{type_}\t{source}\t{_NULL if subject is None else subject}\t{id_}"
            f"\t{text.decode()}\t{sent_by[sender]}\n"
            for place, type_, source, subject, id_, text, sender in each
        ]
    )


def finish(
    positions: Mapping[int, tuple[int, float | None]],
    gone: Sequence[tuple[int, int]],
    partly: Sequence[tuple[int, int, int]],
    at: datetime,
) -> None:
    """Record that what was read has taken effect.

    positions: partition → its next position and its rate. gone: (partition, seq) of blocks that are done with.
    partly: (partition, seq, done) of those that are not.
    """
    sql = [
        """
        UPDATE events_partition p SET position = v.position, rate = v.rate, consumed_at = %s
        FROM unnest(%s::int[], %s::bigint[], %s::float8[]) AS v (number, position, rate) WHERE p.number = v.number
        """
    ]
    numbers = sorted(positions)
    parameters: list[Any] = [
        at,
        numbers,
        [positions[number][0] for number in numbers],
        [positions[number][1] for number in numbers],
    ]
    if gone:
        sql.append(
            """
            DELETE FROM events_block b USING unnest(%s::int[], %s::bigint[]) AS v (partition, seq)
            WHERE b.partition = v.partition AND b.seq = v.seq
            """
        )
        parameters += [[partition for partition, _ in gone], [seq for _, seq in gone]]
    if partly:
        sql.append(
            """
            UPDATE events_block b SET done = v.done FROM unnest(%s::int[], %s::bigint[], %s::int[])
              AS v (partition, seq, done) WHERE b.partition = v.partition AND b.seq = v.seq
            """
        )
        parameters += [[one[place] for one in partly] for place in range(3)]
    with connection.cursor() as cursor:
        cursor.execute(";".join(sql), parameters)
