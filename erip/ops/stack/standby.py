"""A streaming standby of a private PostgreSQL, for tests and trials: made by pg_basebackup, started like any server.

with private_servers(redis=False) as (primary, _), standby_of(primary, apply_delay="5s") as standby:
    standby.url
    promote(standby)
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2 import sql

from erip.ops.stack.errors import ServerFailed
from erip.ops.stack.ports import LOOPBACK, any_free
from erip.ops.stack.postgres import SUPERUSER, Postgres
from erip.ops.stack.servers import Server


@dataclass
class Standby(Postgres):
    """Follows the server on `primary_port` and has its roles and passwords."""

    primary_port: int = field(default=0, kw_only=True)
    #: PostgreSQL's recovery_min_apply_delay
    apply_delay: str = field(default="0", kw_only=True)

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "PGPASSWORD": self.superuser_password}

    @property
    def command(self) -> list[str]:
        settings = {
            "recovery_min_apply_delay": self.apply_delay,
            "wal_retrieve_retry_interval": "100ms",
            "wal_receiver_timeout": "5s",
            "hot_standby_feedback": "on",
        }
        return [*super().command, *(part for key, value in settings.items() for part in ("-c", f"{key}={value}"))]

    def prepare(self) -> None:
        """Copy the primary if that was not done yet."""
        if (self.data / "PG_VERSION").exists():
            super().prepare()
            return
        partial = self.home / "postgres.new"
        shutil.rmtree(partial, ignore_errors=True)
        source = f"host={LOOPBACK} port={self.primary_port} user={SUPERUSER}"
        copy = [str(self.binary.path.with_name("pg_basebackup")), "-D", str(partial), "-d", source]
        done = self._run([*copy, "-R", "-X", "stream", "-c", "fast"])
        if done.returncode != 0:
            raise ServerFailed(f"pg_basebackup failed: {done.stderr.strip()}")
        partial.rename(self.data)

    def ready(self) -> bool:
        """Whether it can be read; roles and databases come from the primary."""
        try:
            with closing(as_superuser(self, "postgres")):
                return True
        except psycopg2.OperationalError:
            return False


@contextmanager
def standby_of(primary: Server, *, apply_delay: str = "0") -> Iterator[Server]:
    """A started standby of a running primary, whose role may see that it streams. Its data goes with the primary's."""
    source = primary.kind
    if not isinstance(source, Postgres):
        raise TypeError("only a PostgreSQL has standbys")
    with closing(as_superuser(source, "postgres")) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("GRANT pg_monitor TO {}").format(sql.Identifier(source.role)))
        cursor.execute("ALTER SYSTEM SET wal_keep_size = '256MB'")
        cursor.execute("SELECT pg_reload_conf()")
    port = any_free()
    home = source.home / f"standby-{port}"
    home.mkdir(mode=0o700)
    if source.user:
        os.chown(home, source.user.uid, source.user.gid)
    server = Server(
        Standby(
            binary=source.binary,
            home=home,
            port=port,
            superuser_password=source.superuser_password,
            password=source.password,
            log=home / "postgres.log",
            user=source.user,
            role=source.role,
            database=source.database,
            primary_port=source.port,
            apply_delay=apply_delay,
        )
    )
    try:
        server.start()
        yield server
    finally:
        server.resume()
        server.stop()


def promote(standby: Server) -> None:
    """Make it a primary, and wait until it is."""
    with closing(as_superuser(standby.kind, "postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_promote(true, 30)")
        if cursor.fetchone() != (True,):
            raise ServerFailed("the standby was not promoted within 30 s")


def as_superuser(server: Any, database: str) -> Any:
    """A psycopg2 connection in autocommit."""
    connection = psycopg2.connect(
        host=LOOPBACK,
        port=server.port,
        user=SUPERUSER,
        password=server.superuser_password,
        dbname=database,
        connect_timeout=5,
    )
    connection.autocommit = True
    return connection
