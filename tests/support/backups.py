"""A PostgreSQL of a test's own that archives with pgBackRest, into a repository in the same temporary folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest

from erip.ops.backup.pgbackrest import PgBackRest, find
from erip.ops.deploy.backups import FILE, PgBackRestNode, Repository, archive_command
from erip.ops.stack.binaries import find_postgres
from erip.ops.stack.errors import MissingServer
from erip.ops.stack.ports import any_free
from erip.ops.stack.postgres import Postgres
from erip.ops.stack.privileges import choose_user, server_home
from erip.ops.stack.servers import Server, temporary_folder
from erip.ops.stack.state import State, write_private
from tests.support.programs import needs

needs_pgbackrest = needs("pgbackrest")
#: the newest major version that the pgBackRest of Debian 12 knows
NEWEST = 15


@dataclass
class Archived(Postgres):
    """Its write-ahead log goes into the repository."""

    @property
    def command(self) -> list[str]:
        pushed = archive_command(find() or "pgbackrest", self.home / FILE, "erip")
        settings = {"archive_mode": "on", "archive_command": pushed, "max_wal_senders": "0", "wal_level": "replica"}
        return [*super().command, *(part for key, value in settings.items() for part in ("-c", f"{key}={value}"))]


@contextmanager
def archived_server() -> Iterator[tuple[Server, PgBackRest]]:
    """Started; nothing is in the repository yet. Skips where this machine's PostgreSQL is too new for pgBackRest."""
    state = State.from_environment()
    user = choose_user(state)
    try:
        binary = find_postgres(server_home(state, user) / "wheels", user, data_major=NEWEST)
    except MissingServer:
        pytest.skip(f"pgBackRest of Debian 12 knows PostgreSQL up to {NEWEST}, and there is none here")
    with temporary_folder(user) as home:
        kind = Archived(
            binary=binary,
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
            for path in (*home.rglob("*"),):
                os.chown(path, user.uid, user.gid)
        server = Server(kind)
        try:
            server.start()
            pgbackrest = PgBackRest(configuration, "erip")
            pgbackrest.create()
            yield server, pgbackrest
        finally:
            server.stop()


def holds_text(folder: Path, text: bytes) -> bool:
    """Whether a file below it holds this text."""
    return any(text in path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
