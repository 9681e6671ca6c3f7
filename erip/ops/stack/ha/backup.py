"""Backups of the highly available layout: only where ERIP_BACKUP_DIR names a folder for them. Otherwise nothing is
archived, and nothing of this runs."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from erip.ops.backup.pgbackrest import BackupError, PgBackRest, find, leads
from erip.ops.deploy.backups import FILE, PgBackRestNode, Repository
from erip.ops.stack.errors import MissingServer, ServerFailed, StackError
from erip.ops.stack.ha.tls import Reached, parameters
from erip.ops.stack.ports import LOOPBACK
from erip.ops.stack.privileges import User
from erip.ops.stack.state import write_private

#: libpq's variables for its parameters
_VARIABLES = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
}


@dataclass(frozen=True)
class Backups:
    """All nodes share the repository in `folder`."""

    program: Path
    folder: Path
    scope: str
    cipher: str = field(repr=False)
    user: User | None

    @classmethod
    def wanted(cls, scope: str, secrets: Mapping[str, str], user: User | None) -> "Backups | None":
        """Raises StackError."""
        named = os.environ.get("ERIP_BACKUP_DIR", "")
        if not named:
            return None
        folder, program = Path(named).expanduser(), find()
        if not folder.is_absolute():
            raise StackError(f"ERIP_BACKUP_DIR: {named!r} is no absolute path")
        if program is None:
            raise MissingServer("ERIP_BACKUP_DIR is set, and this machine has no pgBackRest: apt install pgbackrest")
        return cls(program, folder, scope, secrets["backup_cipher"], user)

    @property
    def _repository(self) -> Path:
        return self.folder / "repository"

    def prepare(self, node: Path, data: Path, port: int, password: str, reached: Reached) -> None:
        """Write the configuration of the node whose folder this is, and make the repository."""
        own = node / "pgbackrest"
        folders = (self.folder, self._repository, own, own / "locks", own / "logs")
        for one in folders:
            one.mkdir(mode=0o700, parents=True, exist_ok=True)
        repository = Repository(self._repository, self.cipher)
        write_private(self.configuration(node), PgBackRestNode(self.scope, data, port, repository, own).render())
        login = {"PGHOST": LOOPBACK, "PGPASSWORD": password}
        login |= {_VARIABLES[name]: value for name, value in parameters(reached.identity).items()}
        write_private(
            self.configuration(node).with_suffix(".env"), "".join(f"{name}={value}\n" for name, value in login.items())
        )
        if self.user:
            for path in (*folders, self.configuration(node), self.configuration(node).with_suffix(".env")):
                shutil.chown(path, self.user.uid, self.user.gid)

    @staticmethod
    def configuration(node: Path) -> Path:
        return node / FILE

    def begin(self, nodes: Sequence[Path]) -> None:
        """Make this cluster's place in the repository: until then nothing can be archived. Raises ServerFailed."""
        try:
            for one in (PgBackRest(self.configuration(node), self.scope) for node in nodes):
                if leads(one):
                    one.create()
                    return
        except BackupError as error:
            raise ServerFailed(f"Backups: {error}") from error
        raise ServerFailed("Backups: no PostgreSQL is the primary")

    def settings(self, nodes: Sequence[Path], files: str) -> dict[str, str]:
        """For `manage.py backup` and `manage.py drill`. files: the pass of sealed archives."""
        return {
            "ERIP_BACKUP_CONFIG": ",".join(str(self.configuration(node)) for node in nodes),
            "ERIP_BACKUP_STANZA": self.scope,
            "ERIP_BACKUP_FILES_TO": str(self.folder / "files"),
            "ERIP_BACKUP_PASS": files,
        }
