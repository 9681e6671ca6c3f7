"""A PostgreSQL of this process's own that archives with pgBackRest, into a repository in the same folder: for tests and
trials.

    server, node = archiving(home, state, user)
    server.start(); node.create(); node.backup("full")
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Final

from erip.ops.backup.pgbackrest import PROGRAM, PgBackRest, find
from erip.ops.deploy.backups import FILE, PgBackRestNode, Repository, archive_command
from erip.ops.stack.binaries import find_postgres
from erip.ops.stack.ports import any_free
from erip.ops.stack.postgres import Postgres
from erip.ops.stack.privileges import User, server_home
from erip.ops.stack.servers import Server
from erip.ops.stack.state import State, write_private

#: the newest major version that the pgBackRest of Debian 12 knows
NEWEST: Final = 15


@dataclass
class Archiving(Postgres):
    """Its write-ahead log goes into the repository, unless `archives` is False. more: settings of PostgreSQL."""

    archives: bool = field(default=True, kw_only=True)
    more: dict[str, str] = field(default_factory=dict, kw_only=True)

    @property
    def command(self) -> list[str]:
        pushed = archive_command(find() or PROGRAM, self.home / FILE, "erip")
        settings = {"max_wal_senders": "0", "wal_level": "replica", **self.more}
        if self.archives:
            settings |= {"archive_mode": "on", "archive_command": pushed}
        return [*super().command, *(part for key, value in settings.items() for part in ("-c", f"{key}={value}"))]


def archiving(home: Path, state: State, user: User | None) -> tuple[Server, PgBackRest]:
    """Not started; its repository is made by `PgBackRest.create`. Raises MissingServer where this machine's PostgreSQL
    is too new for pgBackRest."""
    kind = Archiving(
        binary=find_postgres(server_home(state, user) / "wheels", user, data_major=NEWEST),
        home=home,
        port=any_free(),
        superuser_password=token_hex(12),
        password=token_hex(12),
        log=home / "postgres.log",
        user=user,
        may_create_databases=True,
    )
    configuration, own, repository = home / FILE, home / "pgbackrest", home / "repository"
    for folder in (own, own / "locks", own / "logs", repository):
        folder.mkdir(mode=0o700)
    node = PgBackRestNode("erip", kind.data, kind.port, Repository(repository, token_hex(24)), own)
    write_private(configuration, node.render())
    write_private(configuration.with_suffix(".env"), f"PGHOST=127.0.0.1\nPGPASSWORD={kind.superuser_password}\n")
    if user:
        for path in home.rglob("*"):
            os.chown(path, user.uid, user.gid)
    return Server(kind), PgBackRest(configuration, "erip")
