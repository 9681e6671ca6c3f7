"""The WAL receiver of this standby: cut, so that it confirms nothing more to the old leader.

Note [The cut]. `primary_conninfo` is set to nothing by ALTER SYSTEM, which outranks what Patroni wrote. PostgreSQL then
ends its WAL receiver and starts no other. Patroni takes the setting away again, at its next round or when it follows a
new leader. So a guard that dies half-way leaves nothing behind; and so it stops its Patroni (SIGSTOP) for as long as
the cut has to hold, a few seconds at most. Patroni dies with its guard, stopped or not.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import make_dsn

from erip.ops.guard.configuration import Configuration

#: seconds within which the receiver must be gone
CUT_SECONDS = 1.0
#: longer than wal_retrieve_retry_interval: a receiver that was about to start would be there by then
STILL_SECONDS = 0.12

_RECEIVER = (
    "SELECT pg_is_in_recovery(), current_setting('primary_conninfo') = '', (SELECT pid FROM pg_stat_wal_receiver)"
)


class Receiver:
    """The receiver of the PostgreSQL that `configuration` describes."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def cut(self) -> bool:
        """Whether this is a standby that now has no WAL receiver, twice in a row."""
        try:
            with self._cursor() as cursor:
                cursor.execute("ALTER SYSTEM SET primary_conninfo = ''")
                cursor.execute("SELECT pg_reload_conf()")
                deadline = time.monotonic() + CUT_SECONDS
                gone_since: float | None = None
                while time.monotonic() < deadline:
                    cursor.execute(_RECEIVER)
                    standby, applied, pid = cursor.fetchone() or (False, False, None)
                    if not standby:
                        return False
                    if pid is not None:
                        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
                    if pid is not None or not applied:
                        gone_since = None
                    elif gone_since is None:
                        gone_since = time.monotonic()
                    elif time.monotonic() - gone_since >= STILL_SECONDS:
                        return True
                    time.sleep(0.02)
        except psycopg2.Error:
            pass
        return False

    @contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        host, port = self._configuration.postgres
        connection = psycopg2.connect(
            make_dsn(**self._configuration.postgres_tls),
            host=host,
            port=port,
            user=self._configuration.superuser,
            password=self._configuration.password,
            dbname="postgres",
            connect_timeout=2,
            application_name="erip-guard",
            options="-c statement_timeout=2000 -c synchronous_commit=local",
        )
        with closing(connection):
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor
