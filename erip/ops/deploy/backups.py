"""pgBackRest's configuration on one PostgreSQL host. Values only: nothing here is started."""

import shlex
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from erip.ops.deploy.templates import render

FILE: Final = "pgbackrest.conf"


@dataclass(frozen=True)
class S3:
    """A bucket in place of a folder. endpoint: the host alone; ca: PEM file, if the system's do not do."""

    bucket: str
    endpoint: str
    region: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    ca: str = ""


@dataclass(frozen=True)
class Repository:
    """Where backups go. path: of the folder, or in the bucket. cipher: encrypts everything. keep_full: full backups."""

    path: Path
    cipher: str = field(repr=False)
    keep_full: int = 2
    s3: S3 | None = None


@dataclass(frozen=True)
class PgBackRestNode:
    """pgBackRest beside the PostgreSQL whose data is in `data`. own: a folder of its own, for locks and logs."""

    stanza: str
    data: Path
    port: int
    repository: Repository
    own: Path
    processes: int = 2
    #: whether WAL is pushed in the background
    spooled: bool = False

    def render(self) -> str:
        named = {
            "stanza": self.stanza,
            "data": self.data,
            "port": self.port,
            "processes": self.processes,
            "repository": self.repository.path,
            "cipher": self.repository.cipher,
            "keep_full": self.repository.keep_full,
            "locks": self.own / "locks",
            "logs": self.own / "logs",
            "spool": self.own / "spool" if self.spooled else "",
        }
        empty = {f"s3_{name}": "" for name in ("bucket", "endpoint", "region", "key", "secret", "ca")}
        bucket = (
            {f"s3_{name}": value for name, value in asdict(self.repository.s3).items()} if self.repository.s3 else {}
        )
        return render("pgbackrest/pgbackrest.conf", {**named, **empty, **bucket})


def archive_command(program: Path | str, configuration: Path, stanza: str) -> str:
    """What PostgreSQL runs for each finished file of its write-ahead log."""
    return f"{shlex.quote(str(program))} --config={shlex.quote(str(configuration))} --stanza={stanza} archive-push %p"
