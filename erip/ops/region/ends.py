"""How a PostgreSQL ended, as its own files say: whether a hand-over can have lost anything."""

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: `state` and `checkPoint` of ControlFileData, which stand at the same place in all versions since 9.3
#: (src/include/catalog/pg_control.h)
_STATE: Final = struct.Struct("=16xI12xQ")
#: DB_SHUTDOWNED: a primary that ended by itself
_SHUT_DOWN: Final = 1
#: the line of a promotion in a timeline's history: the timeline before, and where that was left
_LEFT: Final = re.compile(r"^\d+\t([0-9A-F]+)/([0-9A-F]+)\t")

ENDED: Final = "ended"
KILLED: Final = "killed"
FOLLOWED: Final = "followed"


@dataclass(frozen=True, slots=True)
class End:
    """how: ENDED in good order; KILLED, or it crashed: what it had not sent is lost; FOLLOWED another one, or is not
    there, and so has nothing of its own. at: where the last record of one that ended begins in its WAL, in bytes; 0 for
    others."""

    how: str
    at: int = 0

    @property
    def place(self) -> str:
        """`at` as PostgreSQL writes it."""
        return f"{self.at >> 32:X}/{self.at & 0xFFFFFFFF:X}"


def end_of(data: Path, control: str, *, follows: bool) -> End | None:
    """Of the PostgreSQL that worked in `data`, and runs no more; None where its files cannot be read. control: the name
    of its control file now."""
    if follows:
        return End(FOLLOWED)
    try:
        state, at = _STATE.unpack_from((data / control).read_bytes())
    except FileNotFoundError:
        return End(FOLLOWED)  # there is no PostgreSQL, as while a copy is made
    except (OSError, struct.error):
        return None
    return End(ENDED, at) if state == _SHUT_DOWN else End(KILLED)


def left_at(data: Path) -> int | None:
    """Where the PostgreSQL in `data` left the timeline that it had followed, in bytes of WAL; None: it never did, or
    its files cannot be read here. What begins before had arrived."""
    try:
        newest = max((data / "pg_wal").glob("*.history"), key=lambda file: file.name)
        found = [_LEFT.match(line) for line in newest.read_text().splitlines()]
    except (OSError, ValueError):
        return None
    last = next((one for one in reversed(found) if one), None)
    return (int(last[1], 16) << 32) + int(last[2], 16) if last else None
