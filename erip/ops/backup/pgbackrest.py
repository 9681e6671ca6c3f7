"""pgBackRest, run as the user whose configuration it is.

Beside `pgbackrest.conf` may stand `pgbackrest.env`: KEY=value lines of libpq's variables (PGHOST, PGPASSWORD, PGSSLMODE
…), where its SQL session cannot log in through PostgreSQL's own Unix socket. Of our environment it gets nothing: a
PGBACKREST_… variable would override the file.
"""

# ruff: noqa: S603 (programs are started from lists; no word of them comes from a request)

import configparser
import json
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from erip.foundation.os_errors import in_words
from erip.ops.stack.binaries import SYSTEM_FOLDERS
from erip.ops.stack.privileges import User, is_root

PROGRAM: Final = "pgbackrest"
KINDS: Final = ("full", "diff", "incr")
_PG_VARIABLE: Final = re.compile(r"PG[A-Z]+")


class BackupError(Exception):
    """pgBackRest cannot be run, or failed; the message says what it said last."""


@dataclass(frozen=True, slots=True)
class Backup:
    """One that can be restored. kind: full, diff or incr. size: bytes of the database; stored: of this backup."""

    label: str
    kind: str
    began: datetime
    ended: datetime
    size: int
    stored: int
    faulty: bool

    def told(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "kind": self.kind,
            "began": self.began.isoformat(),
            "ended": self.ended.isoformat(),
            "size_bytes": self.size,
            "stored_bytes": self.stored,
            "faulty": self.faulty,
        }


def find() -> Path | None:
    """The program on this machine."""
    found = shutil.which(PROGRAM, path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")
    return Path(found) if found else None


@dataclass(frozen=True)
class PgBackRest:
    """One configuration and one stanza of it."""

    configuration: Path
    stanza: str

    @cached_property
    def _own(self) -> Mapping[str, str]:
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(self.configuration.read_text())
            return dict(parser[self.stanza])
        except (OSError, configparser.Error, KeyError) as error:
            raise BackupError(
                f"{self.configuration}: cannot be read, or has no stanza {self.stanza}: {in_words(error)}"
            ) from None

    @property
    def data(self) -> Path:
        """PostgreSQL's data. Raises BackupError."""
        return Path(self._own.get("pg1-path", ""))

    @property
    def port(self) -> int:
        return int(self._own.get("pg1-port", "5432"))

    @cached_property
    def env(self) -> dict[str, str]:
        """What it is given. Raises BackupError."""
        told = {"PATH": SYSTEM_FOLDERS, "LC_ALL": "C", "TZ": "UTC"}
        beside = self.configuration.with_suffix(".env")
        if not beside.exists():
            return told
        for line in beside.read_text().splitlines():
            name, equals, value = line.partition("=")
            if not equals or not _PG_VARIABLE.fullmatch(name):
                raise BackupError(f"{beside}: {name!r} is not a variable of libpq")
            told[name] = value
        return told

    @property
    def user(self) -> User | None:
        """Whom root becomes: the owner of the configuration, who is PostgreSQL's user."""
        if not is_root():
            return None
        owner = self.configuration.stat().st_uid
        if owner == 0:
            raise BackupError(f"{self.configuration} belongs to root: give it to PostgreSQL's user")
        entry = pwd.getpwuid(owner)
        return User(entry.pw_name, entry.pw_uid, entry.pw_gid)

    def create(self) -> None:
        """Make the place of this cluster in the repository; one that is there is left as it is."""
        self._run("stanza-create")

    def check(self) -> None:
        """Have PostgreSQL archive a file of its log now, and wait until it is there. Raises BackupError."""
        self._run("check")

    def backup(self, kind: str) -> Backup:
        """Make one; the newest there is then. The first is a full one whatever was asked for. Raises BackupError."""
        if kind not in KINDS:
            raise BackupError(f"{kind!r} is no kind of backup: {', '.join(KINDS)}")
        self._run("backup", f"--type={kind}")
        return self.list()[-1]

    def list(self) -> list[Backup]:
        """Oldest first. Raises BackupError."""
        found = json.loads(self._run("info", "--output=json", "--log-level-stderr=error") or "[]")
        mine: Mapping[str, Any] = next((one for one in found if one.get("name") == self.stanza), {})
        return sorted((_backup(one) for one in mine.get("backup", [])), key=lambda one: one.ended)

    def restore(self, into: Path, *, second: datetime | None, processes: int = 2) -> None:
        """Into an empty folder, so that PostgreSQL recovers to that second when it is started there, and is then a
        primary of its own that archives nothing. None: to the end of what was archived. Raises BackupError."""
        to = ["--type=default"]
        if second is not None:
            if second.tzinfo is None:
                raise BackupError("a second needs an offset, as 2026-11-26T14:00:00+00:00")
            to = ["--type=time", f"--target={second.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00"]
            to.append("--target-action=promote")
        self._run(
            "restore", f"--pg1-path={into}", *to, "--archive-mode=off", f"--process-max={processes}"
        )  # fmt: skip

    def _run(self, command: str, *options: str) -> str:
        program = find()
        if program is None:
            raise BackupError("This machine has no pgBackRest: install it (Debian: apt install pgbackrest)")
        words: Sequence[str] = [
            str(program), f"--config={self.configuration}", f"--stanza={self.stanza}", *options, command
        ]  # fmt: skip
        try:
            done = subprocess.run(
                words, env=self.env, cwd="/", capture_output=True, text=True, check=False,
                **(user.popen() if (user := self.user) else {}),
            )  # fmt: skip
        except OSError as error:
            raise BackupError(f"pgBackRest cannot be run: {in_words(error)}") from error
        if done.returncode != 0:
            raise BackupError(f"pgbackrest {command}: {_said(done.stderr) or f'status {done.returncode}'}")
        return str(done.stdout)


def _said(lines: str) -> str:
    """Its errors, without the times and names before them."""
    found = [line.partition("ERROR: ")[2] for line in lines.splitlines() if "ERROR: " in line]
    return " ".join(found or lines.split()[-40:])[:600]


def _backup(one: Mapping[str, Any]) -> Backup:
    at, info = one["timestamp"], one.get("info", {})
    return Backup(
        label=str(one["label"]),
        kind=str(one["type"]),
        began=datetime.fromtimestamp(at["start"], UTC),
        ended=datetime.fromtimestamp(at["stop"], UTC),
        size=int(info.get("size", 0)),
        stored=int(info.get("repository", {}).get("delta", 0)),
        faulty=bool(one.get("error")),
    )


def leads(node: PgBackRest) -> bool | None:
    """Whether its PostgreSQL is a primary that runs; None: it does not run. From its files, so that nobody needs to log
    in. Raises BackupError."""
    if not (node.data / "postmaster.pid").exists():
        return None
    return not (node.data / "standby.signal").exists()
