"""PostgreSQL of two regions and the witness between them, on this machine."""

# ruff: noqa: S603 (programs are started from lists; no word of them comes from a request)

import shutil
import subprocess
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from erip.ops.guard.etcd import Etcd, EtcdError
from erip.ops.stack.binaries import SYSTEM_FOLDERS
from erip.ops.stack.errors import ServerFailed
from erip.ops.stack.ports import any_free
from erip.ops.stack.postgres import Postgres
from erip.ops.stack.privileges import User
from erip.ops.stack.processes import kill_group, spawn, wait_until
from erip.ops.stack.servers import Server
from erip.ops.stack.standby import Standby, as_superuser

#: etcd of the witness: one in each region, and one in a third place
MEMBERS = ("east", "west", "third")
START_SECONDS = 120.0


@dataclass
class Follower(Standby):
    """A standby that its source knows by name, so that it can be waited for at each commit."""

    named: str = field(default="", kw_only=True)

    @property
    def command(self) -> list[str]:
        return [*super().command, "-c", f"cluster_name={self.named}"]


def home(folder: Path, name: str, user: User | None) -> Path:
    """A folder in which a server keeps its data."""
    made = folder / name
    made.mkdir(mode=0o700)
    if user:
        shutil.chown(made, user.uid, user.gid)
    return made


def follower(source: Server, place: Path, name: str) -> Server:
    """A standby of `source`, which may be one itself; copied and started."""
    kind = source.kind
    assert isinstance(kind, Postgres)
    server = Server(
        Follower(
            binary=kind.binary, home=place, port=any_free(), superuser_password=kind.superuser_password,
            password=kind.password, log=place / "postgres.log", user=kind.user, role=kind.role, database=kind.database,
            primary_port=kind.port, named=name,
        )
    )  # fmt: skip
    server.start(START_SECONDS)
    return server


def copy_of(server: Server, place: Path) -> Server:
    """A PostgreSQL with all that one had that was killed, as it would have taken over, on a copy of its data."""
    kind = server.kind
    assert isinstance(kind, Standby)
    subprocess.run(["cp", "-a", str(kind.data), str(place / "postgres")], check=True)  # noqa: S607
    with (place / "postgres" / "postgresql.auto.conf").open("a") as settings:
        settings.write("primary_conninfo = ''\n")
    copied = Server(
        Standby(
            binary=kind.binary, home=place, port=any_free(), superuser_password=kind.superuser_password,
            password=kind.password, log=place / "postgres.log", user=kind.user, role=kind.role, database=kind.database,
        )
    )  # fmt: skip
    copied.start(START_SECONDS)
    # It can be read before it has replayed all that it had received; one that takes over replays all of it first.
    if not ask_as_superuser(copied, f"SELECT pg_promote(true, {START_SECONDS:.0f})")[0][0]:
        raise ServerFailed("the copy has not replayed all that it had")
    return copied


def tell(server: Server, *statements: str) -> None:
    """As the superuser."""
    with closing(as_superuser(server.kind, "postgres")) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def ask_as_superuser(server: Server, query: str, *values: Any) -> list[Any]:
    with closing(as_superuser(server.kind, "postgres")) as connection, connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


def ask(url: str, query: str, *values: Any) -> list[Any]:
    """One statement, as the platform's role; its rows. Raises psycopg2.Error."""
    with closing(psycopg2.connect(url, connect_timeout=5)) as connection, connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def kill_at_once(processes: list[subprocess.Popen[bytes]], servers: list[Server]) -> None:
    """SIGKILL to all of them and to all that they started, as when a site loses its power."""
    # The servers first: what was acknowledged a moment before has no time to arrive elsewhere.
    roots = [pid for one in servers if (pid := one.pid)] + [one.pid for one in processes if one.poll() is None]
    found = []
    for pid in roots:
        with suppress(psutil.Error):
            root = psutil.Process(pid)
            found += [root, *root.children(recursive=True)]
    for process in found:
        with suppress(psutil.Error):
            process.kill()
    for one in processes:
        kill_group(one)
        one.wait()
    for server in servers:
        server.kill()


def change(url: str, statement: str) -> None:
    """As the platform's role. Raises psycopg2.Error."""
    with closing(psycopg2.connect(url, connect_timeout=5)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


class Witness:
    """Three etcd, of which a region takes one with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ports = {name: (any_free(), any_free()) for name in MEMBERS}
        self._members: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def endpoints(self) -> list[str]:
        return [f"127.0.0.1:{client}" for client, _ in self._ports.values()]

    def start(self) -> None:
        program = shutil.which("etcd", path=SYSTEM_FOLDERS)
        if program is None:
            raise ServerFailed("this machine has no etcd (make ha-deps)")
        cluster = ",".join(f"{name}=http://127.0.0.1:{peer}" for name, (_, peer) in self._ports.items())
        for name, (client, peer) in self._ports.items():
            mine, peers = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
            words = [
                program, f"--name={name}", f"--data-dir={self.folder / name}", f"--listen-client-urls={mine}",
                f"--advertise-client-urls={mine}", f"--listen-peer-urls={peers}",
                f"--initial-advertise-peer-urls={peers}", f"--initial-cluster={cluster}",
            ]  # fmt: skip
            self._members[name] = spawn(words, env={"PATH": SYSTEM_FOLDERS}, log=self.folder / f"{name}.log")
        if not wait_until(self._healthy, 60):
            raise ServerFailed(f"the witness does not start (logs: {self.folder})")

    def member(self, name: str) -> subprocess.Popen[bytes]:
        return self._members[name]

    def stop(self) -> None:
        kill_at_once(list(self._members.values()), [])

    def _healthy(self) -> bool:
        try:
            return all(Etcd([("127.0.0.1", client)], timeout=1.0).healthy() for client, _ in self._ports.values())
        except EtcdError:
            return False
