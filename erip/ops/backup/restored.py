"""A PostgreSQL that starts on what was restored, beside the living one: for drills.

It listens on loopback and on a Unix socket in a folder of its own, reads none of the configuration that came with the
data, archives nothing, and follows nobody. Its roles get a new password, which this process alone knows: those of the
living cluster may be others than at the restored second.
"""

import os
import secrets
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psycopg2
from psycopg2 import sql

from erip.ops.stack.postgres import SUPERUSER, Postgres
from erip.ops.stack.state import write_private

#: of the socket's folder alone, which is its user's (and root's)
_HBA = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


@dataclass
class Restored(Postgres):
    """`home`/postgres holds what pgBackRest restored. role, database: of the platform, as at the restored second."""

    superuser: str = field(default=SUPERUSER, kw_only=True)

    @property
    def command(self) -> list[str]:
        settings = {
            "config_file": str(self.home / "postgresql.conf"),
            "hba_file": str(self.home / "hba.conf"),
            "ident_file": str(self.home / "ident.conf"),
            "external_pid_file": "",
            "unix_socket_directories": str(self.home),
            # It is of no use before it has recovered.
            "hot_standby": "off",
            "archive_mode": "off",
            "archive_command": "",
            "primary_conninfo": "",
            "primary_slot_name": "",
            "synchronous_standby_names": "",
            "shared_preload_libraries": "",
            "ssl": "off",
            "shared_buffers": "64MB",
            "max_wal_size": "1GB",
        }
        return [*super().command, *(part for key, value in settings.items() for part in ("-c", f"{key}={value}"))]

    def prepare(self) -> None:
        """Its own configuration. Raises ServerFailed where there is nothing restored."""
        for name, text in (("postgresql.conf", ""), ("hba.conf", _HBA), ("ident.conf", "")):
            write_private(self.home / name, text)
            self._give(self.home / name)
        super().prepare()

    def ready(self) -> bool:
        """Whether it has recovered, and takes writes."""
        try:
            with closing(self.as_superuser("postgres")) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT pg_is_in_recovery()")
                return bool(cursor.fetchone() == (False,))
        except psycopg2.OperationalError:
            return False

    def take_over(self) -> None:
        """Give the platform's role a new password, and end what the copy would do by itself. Raises psycopg2.Error."""
        self.password = secrets.token_urlsafe(24)
        with closing(self.as_superuser("postgres")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(
                    sql.SQL("ALTER ROLE {} LOGIN PASSWORD %s VALID UNTIL 'infinity'").format(sql.Identifier(self.role)),
                    [self.password],
                )
                cursor.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")

    @property
    def last_replayed(self) -> datetime | None:
        """When the last transaction that was replayed had been committed; None if none was."""
        with closing(self.as_superuser("postgres")) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_last_xact_replay_timestamp()")
            found: datetime | None = (cursor.fetchone() or (None,))[0]
            return found

    def as_superuser(self, database: str) -> "psycopg2.extensions.connection":
        return psycopg2.connect(
            host=str(self.home), port=self.port, user=self.superuser, dbname=database, connect_timeout=5
        )

    def _give(self, path: Path) -> None:
        if self.user:
            os.chown(path, self.user.uid, self.user.gid)
