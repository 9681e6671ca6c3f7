"""Private servers for tests, benchmarks and trials: real PostgreSQL and Redis, to start, stop, kill and start again.

    with private_servers() as (postgres, redis):
        postgres.url, redis.url
        redis.kill(); redis.start()

Their data stands in a temporary folder and goes with the context. They die with this process. fsync stays on unless the
caller gives it up: a test that cuts off no power loses nothing by that, and a benchmark would measure another database.
"""

import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from erip.ops.stack.binaries import find_postgres, find_redis
from erip.ops.stack.errors import ServerFailed
from erip.ops.stack.ports import any_free
from erip.ops.stack.postgres import Postgres
from erip.ops.stack.privileges import User, choose_user, server_home, user_can
from erip.ops.stack.processes import kill_group, spawn, stop, wait_until
from erip.ops.stack.redis import Redis
from erip.ops.stack.state import State

START_SECONDS = 30.0


class Server:
    """A PostgreSQL or Redis of this process's own."""

    def __init__(self, kind: Postgres | Redis) -> None:
        self.kind = kind
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.kind.url

    @property
    def port(self) -> int:
        return self.kind.port

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self, seconds: float = START_SECONDS) -> None:
        """Start it, on the same port and data as before, and wait until it takes connections: so many seconds."""
        if self.pid is not None:
            return
        self.kind.prepare()
        self._process = process = spawn(
            self.kind.command,
            env=self.kind.env,
            log=self.kind.log,
            user=self.kind.user,
            death_signal=self.kind.stop_signal,
        )
        if not wait_until(lambda: process.poll() is not None or self.kind.ready(), seconds):
            self.kill()
        if process.poll() is not None:
            raise ServerFailed(f"{self.kind.title} does not start: {self.kind.why()} ({self.kind.log})")

    def stop(self) -> None:
        """End it in good order."""
        if self._process:
            stop(self._process, self.kind.stop_signal, self.kind.stop_patience)

    def kill(self) -> None:
        """SIGKILL for the server and its children, as a power cut would."""
        if self._process:
            kill_group(self._process)
            self._process.wait()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        if self._process:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)


@contextmanager
def private_servers(
    *, postgres: bool = True, redis: bool = True, fsync: bool = True, logins: Mapping[str, str] | None = None
) -> Iterator[tuple[Server | None, Server | None]]:
    """Both servers, started; None for one that is not wanted. The PostgreSQL role may create databases. Redis has
    these `logins` too (`redis_users`).
    """
    state = State.from_environment()
    user = choose_user(state)
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder(user))
        started: list[Server | None] = []
        for server in (
            private_postgres(folder, state, user, fsync=fsync) if postgres else None,
            private_redis(folder, state, user) if redis else None,
        ):
            if server:
                if isinstance(server.kind, Redis):
                    server.kind.logins = logins or {}
                stack.callback(server.stop)
                server.start()
            started.append(server)
        yield started[0], started[1]


def private_postgres(folder: Path, state: State, user: User | None, *, fsync: bool = True) -> Server:
    """A PostgreSQL that keeps its data in `folder`; not started."""
    wheels = server_home(state, user) / "wheels"
    return Server(
        Postgres(
            binary=find_postgres(wheels, user),
            home=folder,
            port=any_free(),
            superuser_password=secrets.token_urlsafe(16),
            password=secrets.token_urlsafe(16),
            log=folder / "postgres.log",
            user=user,
            may_create_databases=True,
            fsync=fsync,
        )
    )


def private_redis(folder: Path, state: State, user: User | None) -> Server:
    """A Redis or Valkey that keeps its data in `folder`; not started."""
    wheels = server_home(state, user) / "wheels"
    return Server(
        Redis(
            binary=find_redis(wheels, user),
            home=folder,
            port=any_free(),
            password=secrets.token_urlsafe(16),
            log=folder / "redis.log",
            user=user,
        )
    )


@contextmanager
def temporary_folder(user: User | None) -> Iterator[Path]:
    """A folder that `user` may enter, which the caller's TMPDIR need not be."""
    parent = Path(tempfile.gettempdir())
    if user and not user_can(user, lambda: _reachable(parent)):
        parent = Path("/var/tmp")  # noqa: S108  # nosec B108 (a folder of a random name is made in it)
    folder = Path(tempfile.mkdtemp(prefix="erip-servers-", dir=parent))
    try:
        if user:
            shutil.chown(folder, user.uid, user.gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _reachable(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except OSError:
        return False
