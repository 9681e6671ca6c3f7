"""Alerts that somebody takes on while PostgreSQL is away: a file beside the leader's memory.

Without PostgreSQL nobody can sign in, and no key can be checked. Whoever has a shell on a leader's host can write
there, and that is who repairs it. Each leader reads its own host's file.
"""

import json
import os
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from monitoring.core.alerts import Alert

log = structlog.get_logger(__name__)

#: bytes that are read at most
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Taken:
    """at: seconds since the epoch. rules: of which alerts; empty: of all."""

    at: float
    by: str
    note: str
    rules: tuple[str, ...]

    def covers(self, alert: Alert) -> bool:
        """What begins to fire later is something else, of which nobody knew."""
        return alert.fired_at is not None and alert.fired_at <= self.at and (not self.rules or alert.rule in self.rules)


class TakenFile:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "taken.json"
        self._read_as: tuple[int, int] | None = None
        self._known: Taken | None = None

    def write(self, *, by: str, note: str, rules: Iterable[str]) -> None:
        """In place of what was written before. Raises OSError."""
        text = json.dumps(asdict(Taken(time.time(), by, note, tuple(rules))))
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".taken-")
        with os.fdopen(handle, "w") as file:
            file.write(text)
            # The folder keeps others out; the leader may be another user than whoever repairs.
            os.fchmod(file.fileno(), 0o644)
        os.replace(name, self._path)

    def read(self) -> Taken | None:
        """What was written last; None: nothing, or it cannot be read."""
        try:
            stat = self._path.stat()
        except OSError:
            return None
        if self._read_as != (stat.st_mtime_ns, stat.st_ino):
            self._read_as = (stat.st_mtime_ns, stat.st_ino)
            try:
                with self._path.open() as file:
                    found = json.loads(file.read(_MOST))
                self._known = Taken(
                    float(found["at"]), str(found["by"]), str(found["note"]), tuple(map(str, found["rules"]))
                )
            except (OSError, ValueError, TypeError, KeyError) as error:
                self._known = None
                log.error("taken_file_unreadable", file=str(self._path), error=error)
        return self._known
