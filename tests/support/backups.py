"""A PostgreSQL of a test's own that archives with pgBackRest, into a repository in the same temporary folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from erip.ops.backup.archived import NEWEST, archiving
from erip.ops.backup.pgbackrest import PgBackRest
from erip.ops.stack.errors import MissingServer
from erip.ops.stack.privileges import choose_user
from erip.ops.stack.servers import Server, temporary_folder
from erip.ops.stack.state import State
from tests.support.programs import needs

needs_pgbackrest = needs("pgbackrest")


@contextmanager
def archived_server() -> Iterator[tuple[Server, PgBackRest]]:
    """Started; nothing is in the repository yet. Skips where this machine's PostgreSQL is too new for pgBackRest."""
    state = State.from_environment()
    user = choose_user(state)
    with temporary_folder(user) as home:
        try:
            server, node = archiving(home, state, user)
        except MissingServer:
            pytest.skip(f"pgBackRest of Debian 12 knows PostgreSQL up to {NEWEST}, and there is none here")
        try:
            server.start()
            node.create()
            yield server, node
        finally:
            server.stop()


def holds_text(folder: Path, text: bytes) -> bool:
    """Whether a file below it holds this text."""
    return any(text in path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
