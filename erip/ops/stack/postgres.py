"""One private PostgreSQL: its data, how it is started, when it is ready.

Loopback only, no Unix socket (so nothing is left behind by a crash), scram-sha-256 for everybody, checksums on.
The platform logs in as a role that is not a superuser, and in a stack that people use as one that owns nothing
(`logins`).
"""

# ruff: noqa: S603 (programs are started from lists; no word of them comes from a request)

import os
import shutil
import signal
import subprocess
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg2
from psycopg2 import sql

from erip.ops.stack.binaries import Binary
from erip.ops.stack.errors import ServerFailed, disk_full
from erip.ops.stack.logins import Logins, make_roles
from erip.ops.stack.ports import LOOPBACK
from erip.ops.stack.privileges import User
from erip.ops.stack.processes import Identity, last_line, wait_until
from erip.ops.stack.state import check_room, write_private

SUPERUSER = "postgres"
# No user data in the log: no statement, no parameter, and only the first line of an error, without the row or the key
# that it is about. `make_role` keeps out what the first line itself may quote.
QUIET = {
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


@dataclass
class Postgres:
    """A server whose data stands in `home`/postgres and whose log is `log`."""

    binary: Binary
    home: Path
    port: int
    superuser_password: str = field(repr=False)
    password: str = field(repr=False)
    log: Path
    user: User | None = None
    may_create_databases: bool = False
    #: False: data that only a power cut would lose is not written out at once. What is committed survives a kill.
    fsync: bool = True
    #: the passwords of several roles; None: one role owns everything, and `may_create_databases` applies to it
    logins: Logins | None = field(default=None, repr=False)
    role: str = "erip"
    database: str = "erip"

    name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown: clients are cut off, nothing committed is lost
    stop_patience = 20.0

    @property
    def title(self) -> str:
        return self.binary.title

    @property
    def data(self) -> Path:
        return self.home / "postgres"

    @property
    def url(self) -> str:
        """What goes into DATABASE_URL."""
        return f"postgres://{self.role}:{quote(self.password, safe='')}@{LOOPBACK}:{self.port}/{self.database}"

    @property
    def owner_url(self) -> str:
        """What goes into DATABASE_OWNER_URL."""
        return self.logins.owner_url(self.port) if self.logins else self.url

    @property
    def env(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}

    @property
    def command(self) -> list[str]:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "password_encryption": "scram-sha-256",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] ",
            "logging_collector": "off",
            "log_destination": "stderr",
            **QUIET,
        }
        if not self.fsync:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        flags = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [str(self.binary.path), "-D", str(self.data), *flags]

    def prepare(self) -> None:
        """Make the data directory if there is none, and clear what a killed server left behind."""
        if (self.data / "PG_VERSION").exists():
            _clear_stale_pid(self.data)
        else:
            self._initdb()

    def _initdb(self) -> None:
        """Make it in a folder that gets its name only when complete: an interrupted start is simply made again."""
        check_room(self.home)
        partial = self.home / "postgres.new"
        shutil.rmtree(partial, ignore_errors=True)
        secret = self.home / "postgres.pw"
        write_private(secret, self.superuser_password + "\n")
        if self.user:
            os.chown(secret, self.user.uid, self.user.gid)
        flags = ["-D", str(partial), "-U", SUPERUSER, "-A", "scram-sha-256", "--pwfile", str(secret)]
        flags += ["--data-checksums", "--encoding=UTF8", "--no-instructions"]
        flags += [] if self.fsync else ["--no-sync"]
        initdb = [str(self.binary.path.with_name("initdb")), *flags]
        try:
            done = self._run([*initdb, "--locale=C.UTF-8"])
            if done.returncode != 0 and "locale" in done.stderr:
                # A C library without C.UTF-8; the order of text is by byte in both.
                shutil.rmtree(partial, ignore_errors=True)
                done = self._run([*initdb, "--locale=C"])
        finally:
            secret.unlink(missing_ok=True)
        if done.returncode != 0:
            if "No space left" in done.stderr:
                raise disk_full(self.home)
            last = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
            raise ServerFailed(f"initdb of {self.title} failed: {last[0]}")
        partial.rename(self.data)

    def _run(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            env=self.env,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **(self.user.popen() if self.user else {}),
        )

    def ready(self) -> bool:
        """Whether the server takes connections; it has its role and database from then on."""
        try:
            connection = self._connect("postgres")
        except psycopg2.OperationalError as error:
            if "password authentication failed" in str(error):
                raise ServerFailed(
                    f"PostgreSQL under {self.data} has another password than secrets.json: put the old file back, "
                    "or start afresh with another ERIP_STATE_DIR."
                ) from None
            return False
        with closing(connection):
            if self.logins:
                make_roles(self._connect, self.logins)
                return True
            connection.autocommit = True
            with connection.cursor() as cursor:
                make_role(cursor, self.role, self.password, self.database, self.may_create_databases)
        return True

    def _connect(self, database: str) -> "psycopg2.extensions.connection":
        return psycopg2.connect(
            host=LOOPBACK,
            port=self.port,
            user=SUPERUSER,
            password=self.superuser_password,
            dbname=database,
            connect_timeout=2,
        )

    def why(self) -> str:
        """The reason of a failed start, from the end of the log."""
        return last_line(self.log)


def make_role(
    cursor: "psycopg2.extensions.cursor", name: str, password: str, database: str, may_create_databases: bool
) -> None:
    """Make the platform's role and its database. It states the wanted result, whatever is there: the next start
    completes one that was interrupted.
    """
    role = sql.Identifier(name)
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
    if cursor.fetchone() is None:
        cursor.execute(sql.SQL("CREATE ROLE {}").format(role))
    may = sql.SQL("CREATEDB" if may_create_databases else "NOCREATEDB")
    cursor.execute(sql.SQL("ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEROLE {} PASSWORD %s").format(role, may), [password])
    # The role's errors go to its client, which logs them without their values; the server's line may quote one
    # ("invalid input syntax for type integer: ..."). Messages of the server about itself are LOG or FATAL, or another
    # role's.
    cursor.execute(sql.SQL("ALTER ROLE {} SET log_min_messages = 'log'").format(role))
    # What it becomes to read for callers of some spaces: Note [Second wall] in `erip.foundation.db.walls`.
    limited = sql.Identifier(f"{name}_limited")
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [limited.string])
    if cursor.fetchone() is None:
        cursor.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(limited))
    cursor.execute(sql.SQL("GRANT {} TO {}").format(limited, role))
    cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
    if cursor.fetchone() is None:
        cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), role))


def data_major(home: Path) -> int | None:
    """The major version that made the data under `home`."""
    try:
        return int((home / "postgres" / "PG_VERSION").read_text())
    except (FileNotFoundError, ValueError):
        return None


def _clear_stale_pid(data: Path) -> None:
    """Remove postmaster.pid when its process is not the server of this data.

    PostgreSQL trusts the pid alone: after a crash it refuses to start if that pid is now any process of the same
    user. A server that still runs on this data (its supervisor was killed) is ended first.
    """
    file = data / "postmaster.pid"
    try:
        pid = int(file.read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return
    try:
        process = psutil.Process(pid)
        ours = process.name().startswith("postgres") and str(data) in " ".join(process.cmdline())
    except psutil.Error:
        ours = False
    if ours:
        identity = Identity(pid, process.create_time())
        for number in (signal.SIGINT, signal.SIGQUIT):
            process.send_signal(number)
            if wait_until(lambda: not identity.alive, 10):
                return
        raise ServerFailed(f"A PostgreSQL (pid {pid}) still runs on {data} and does not end: stop it, then try again.")
    file.unlink(missing_ok=True)
