"""What a statement of a migration locks, and what it does meanwhile.

Note [Locks of statements]
From PostgreSQL's documentation: "Explicit Locking", and the notes of ALTER TABLE, CREATE INDEX and CREATE TRIGGER. A
lock is held to the end of the transaction: that of a moment, followed by a statement that reads the table, is held for
both. How long reading and writing take is a guess from the table's size (`READ`, `WRITE`): the order of magnitude is
what it is good for. What is not known here is said to be unknown, and never left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from erip.management.migration_lint import without_bodies

#: bytes of a table that are looked at, or written, in a second: a disk that is busy with other things
READ, WRITE = 100 << 20, 20 << 20


class Mode(IntEnum):
    """PostgreSQL's table locks that matter here, the weaker first."""

    #: others read and write
    LETS_OTHERS = 1
    #: others read
    STOPS_WRITERS = 2
    #: nobody else reads or writes
    STOPS_ALL = 3
    UNKNOWN = 4


NAMES: Final = {
    Mode.LETS_OTHERS: "lets others read and write",
    Mode.STOPS_WRITERS: "others only read",
    Mode.STOPS_ALL: "nobody else reads or writes",
    Mode.UNKNOWN: "not known",
}


class Work(StrEnum):
    """What is done while the lock is held."""

    #: the catalogue alone is changed
    MOMENT = "a moment"
    #: all rows are read
    READS = "reads the table"
    #: an index or the whole table is written
    WRITES = "writes the table's size"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Lock:
    """table: "" where the statement does not say. said: the statement, shortened."""

    table: str
    mode: Mode
    work: Work
    said: str


_TABLE = r"(?:ONLY\s+)?(?:IF\s+EXISTS\s+)?(?P<table>[\w.\"]+)"
_ALTER = rf"^ALTER\s+TABLE\s+{_TABLE}\s+"

#: the first that fits counts
_RULES: Final[tuple[tuple[re.Pattern[str], Mode, Work], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), mode, work)
    for pattern, mode, work in (
        (
            r"^CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\b.*?\bON\s+" + _TABLE,
            Mode.LETS_OTHERS,
            Work.WRITES,
        ),
        (r"^CREATE\s+(?:UNIQUE\s+)?INDEX\b.*?\bON\s+" + _TABLE, Mode.STOPS_WRITERS, Work.WRITES),
        (r"^(?:DROP|REINDEX)\s+INDEX\s+CONCURRENTLY\b", Mode.LETS_OTHERS, Work.MOMENT),
        (r"^DROP\s+INDEX\b", Mode.STOPS_ALL, Work.MOMENT),
        (r"^CREATE\s+TABLE\b.*?\bPARTITION\s+OF\s+" + _TABLE, Mode.STOPS_ALL, Work.MOMENT),
        (
            r"^CREATE\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?TRIGGER\b.*?\bON\s+" + _TABLE,
            Mode.STOPS_WRITERS,
            Work.MOMENT,
        ),
        (
            r"^(?:DROP\s+TRIGGER|(?:DROP|CREATE|ALTER)\s+POLICY)\b.*?\bON\s+" + _TABLE,
            Mode.STOPS_ALL,
            Work.MOMENT,
        ),
        (_ALTER + r"VALIDATE\s+CONSTRAINT\b", Mode.LETS_OTHERS, Work.READS),
        (_ALTER + r"ATTACH\s+PARTITION\b", Mode.LETS_OTHERS, Work.READS),
        (_ALTER + r".*\bTYPE\b", Mode.STOPS_ALL, Work.WRITES),
        (_ALTER + r".*\bSET\s+(?:LOGGED|UNLOGGED|TABLESPACE|ACCESS\s+METHOD)\b", Mode.STOPS_ALL, Work.WRITES),
        (_ALTER + r"ADD\s+CONSTRAINT\b.*\bFOREIGN\s+KEY\b.*\bNOT\s+VALID\b", Mode.STOPS_WRITERS, Work.MOMENT),
        (_ALTER + r"ADD\s+CONSTRAINT\b.*\b(?:NOT\s+VALID|USING\s+INDEX)\b", Mode.STOPS_ALL, Work.MOMENT),
        (_ALTER + r"ADD\s+CONSTRAINT\b.*\bFOREIGN\s+KEY\b", Mode.STOPS_WRITERS, Work.READS),
        (_ALTER + r"ADD\s+CONSTRAINT\b.*\bCHECK\b", Mode.STOPS_ALL, Work.READS),
        (_ALTER + r"ADD\s+CONSTRAINT\b", Mode.STOPS_ALL, Work.WRITES),
        # The value of a default that is computed for each row, and a generated column, are written into all rows.
        (
            _ALTER
            + r"ADD\s+COLUMN\b.*\b(?:GENERATED|SERIAL|BIGSERIAL|random\s*\(|gen_random_uuid|clock_timestamp|nextval)",
            Mode.STOPS_ALL,
            Work.WRITES,
        ),
        (_ALTER + r"ADD\s+COLUMN\b.*\b(?:UNIQUE|PRIMARY\s+KEY)\b", Mode.STOPS_ALL, Work.WRITES),
        (_ALTER + r"ADD\s+COLUMN\b.*\bCHECK\b", Mode.STOPS_ALL, Work.READS),
        (_ALTER + r".*\bSET\s+NOT\s+NULL\b", Mode.STOPS_ALL, Work.READS),
        (_ALTER + r"(?:ENABLE|DISABLE)\s+(?:ALWAYS\s+|REPLICA\s+)?TRIGGER\b", Mode.STOPS_WRITERS, Work.MOMENT),
        (_ALTER + r"(?:SET\s+\(|ALTER\s+COLUMN\s+\S+\s+SET\s+STATISTICS)", Mode.LETS_OTHERS, Work.MOMENT),
        (
            _ALTER + r"(?:ADD\s+COLUMN|DROP\s+COLUMN|DROP\s+CONSTRAINT|RENAME|OWNER|SET\s+SCHEMA|DETACH"
            r"|ALTER\s+(?:COLUMN\s+)?\S+\s+(?:SET\s+DEFAULT|DROP)|(?:ENABLE|DISABLE|FORCE|NO\s+FORCE)\s+ROW)",
            Mode.STOPS_ALL,
            Work.MOMENT,
        ),
        (r"^DROP\s+TABLE\s+" + _TABLE, Mode.STOPS_ALL, Work.MOMENT),
        (r"^TRUNCATE\s+(?:TABLE\s+)?" + _TABLE, Mode.STOPS_ALL, Work.MOMENT),
        (r"^(?:VACUUM\s+FULL|CLUSTER)\s+" + _TABLE, Mode.STOPS_ALL, Work.WRITES),
        (r"^LOCK\s+(?:TABLE\s+)?" + _TABLE, Mode.STOPS_ALL, Work.UNKNOWN),
        (r"^UPDATE\s+" + _TABLE, Mode.LETS_OTHERS, Work.UNKNOWN),
        (r"^DELETE\s+FROM\s+" + _TABLE, Mode.LETS_OTHERS, Work.UNKNOWN),
    )
)  # fmt: skip
#: what locks no table that is in use, and takes a moment
_FREE: Final = re.compile(
    r"^(?:CREATE\s+(?:TABLE|SEQUENCE|TYPE|SCHEMA|EXTENSION|DOMAIN|STATISTICS|(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE|VIEW))"
    r"|ALTER\s+(?:FUNCTION|SEQUENCE|TYPE)|DROP\s+(?:FUNCTION|SEQUENCE|TYPE|VIEW|PROCEDURE)|COMMENT|GRANT|REVOKE"
    r"|SET|RESET|BEGIN|COMMIT|INSERT\s+INTO|SELECT|ALTER\s+DEFAULT\s+PRIVILEGES)\b",
    re.IGNORECASE,
)
#: what one does is in a language that nothing here reads
_DO: Final = re.compile(r"\bDO\s+(?P<quote>\$\w*\$).*?(?P=quote)", re.IGNORECASE | re.DOTALL)
_SPACE: Final = re.compile(r"\s+")


def locks(sql: str) -> Iterator[Lock]:
    """Of each statement of a text that locks a table that may be in use, in their order."""
    plain = _DO.sub("DO", without_bodies(sql))
    made = {
        _name(found)
        for found in re.findall(r"\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?([\w.\"]+)", plain, re.IGNORECASE)
    }
    for statement in map(str.strip, plain.split(";")):
        lock = _of(statement) if statement else None
        if lock is not None and lock.table not in made:
            yield lock


def _of(statement: str) -> Lock | None:
    said = _SPACE.sub(" ", statement)[:120]
    for pattern, mode, work in _RULES:
        if match := pattern.search(statement):
            return Lock(_name(match.groupdict().get("table") or ""), mode, work, said)
    return None if _FREE.search(statement) else Lock("", Mode.UNKNOWN, Work.UNKNOWN, said)


def _name(text: str) -> str:
    return text.strip('"').lower()


def seconds(work: Work, size: int | None) -> float | None:
    """About how long: of a table of so many bytes. None: not known."""
    if work is Work.MOMENT:
        return 0.0
    if work is Work.UNKNOWN or size is None:
        return None
    return size / (READ if work is Work.READS else WRITE)
