"""Keeps a stack's processes alive, and ends them all when it ends itself.

One process with one thread: it starts PostgreSQL and Redis, has the database brought up to date, starts the
platform, then waits for a signal or a child that died. What runs is written to supervisor.json at every change,
for `status` and for whoever has to clean up after a crash. Whoever started it reads its progress from a pipe, as
JSON lines: `{"step": …}`, `{"done": …, "seconds": …}`, `{"warning": …}`, and `{"ready": true}` or
`{"failed": …}` as the last.
"""

import fcntl
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

from . import ports, services, setup
from .binaries import find_postgres, find_redis
from .errors import ServerFailed, StackError, from_os_error
from .postgres import Postgres, data_major
from .privileges import User, choose_user, server_home
from .processes import MARK, Identity, kill_group, last_line, spawn
from .redis import Redis
from .services import Service
from .state import ROOT, State, make_secrets, read_json, write_json, write_private

# A machine that is busy with other things takes its time.
START_SECONDS = 120.0
LOG_BYTES = 10 * 1024 * 1024
LOGS_KEPT = 3
# A process that ran this long has started well: the next crash is a first one again.
STEADY_SECONDS = 10.0
LONGEST_BACKOFF = 30.0
CRASHES_AT_START = 3


class Stopped(Exception):
    """A signal asked the supervisor to end while it was starting."""


@dataclass
class Child:
    """A process under supervision, across its restarts."""

    what: Service | Postgres | Redis
    log: Path
    process: subprocess.Popen[bytes] | None = None
    identity: Identity | None = None
    began: float = 0.0  # monotonic
    due: float | None = None  # monotonic; when it is started again
    restarts: int = 0
    crashes: int = 0  # in a row

    @property
    def name(self) -> str:
        return self.what.name

    @property
    def is_server(self) -> bool:
        return not isinstance(self.what, Service)


class Supervisor:
    """The stack under `state`, running the services called `names`."""

    def __init__(self, state: State, names: tuple[str, ...], report: IO[str] | None) -> None:
        self.state = state
        self.names = names
        self.report = report
        self.id = secrets.token_hex(8)
        self.children: list[Child] = []
        self.phase = "starting"
        self.stopping = False
        self.user: User | None = choose_user(state)
        self.home = server_home(state, self.user)
        self.env: dict[str, str] = {}
        self._wakeup, self._wake = os.pipe()

    # --- the whole life ---------------------------------------------------------------------------------

    def run(self) -> int:
        """Until SIGTERM or SIGINT; the exit status."""
        self._catch_signals()
        lock = self.state.lock.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._tell(failed="Another supervisor has just started this stack.")
            return 1
        status = 0
        try:
            self._start()
            self.phase = "running"
            self._write_status()
            self._tell(ready=True)
            self._close_report()
            while True:
                self._pause(self._next_due())
                self._tend()
                self._rotate_logs()
        except Stopped:
            pass
        except (StackError, OSError) as error:
            known = error if isinstance(error, StackError) else from_os_error(error, self.state.root)
            print(f"failed: {known}", flush=True)
            self._tell(failed=str(known))
            status = 1
        finally:
            self.stopping = True
            self._stop_all()
            self.state.supervisor.unlink(missing_ok=True)
            self._close_report()
        return status

    def _start(self) -> None:
        known = make_secrets(self.state.secrets)
        self._write_status()
        database, broker = os.environ.get("DATABASE_URL"), os.environ.get("ERIP_BROKER_URL")
        if not broker:
            broker = self._start_server(self._redis(known)).url
        if not database:
            database = self._start_server(self._postgres(known)).url
        chosen = {"web": ports.choose("web", self.state.ports), "flower": 0}
        if "flower" in self.names:
            chosen["flower"] = ports.choose("flower", self.state.ports)
        told = services.settings(self.state, known, database=database, broker=broker, web_port=chosen["web"])
        write_private(self.state.env, services.env_file(told))
        self.env = {**os.environ, **told, "DJANGO_SETTINGS_MODULE": "erip.settings.local", MARK: self.id}
        setup.bring_up_to_date(self.state, self.env, known["admin"], self._done)
        self._remember_flower(known["flower"])
        self._start_platform(services.platform(self.names, self.env, chosen, f"erip:{known['flower']}"))

    # --- servers ----------------------------------------------------------------------------------------

    def _postgres(self, known: dict[str, str]) -> Postgres:
        return Postgres(
            binary=find_postgres(self.home / "wheels", self.user, data_major=data_major(self.home)),
            home=self.home,
            port=ports.choose("postgres", self.state.ports),
            superuser_password=known["postgres_superuser"],
            password=known["postgres_app"],
            log=self.state.logs / "postgres.log",
            user=self.user,
        )

    def _redis(self, known: dict[str, str]) -> Redis:
        return Redis(
            binary=find_redis(self.home / "wheels", self.user),
            home=self.home,
            port=ports.choose("redis", self.state.ports),
            password=known["redis"],
            log=self.state.logs / "redis.log",
            user=self.user,
        )

    def _start_server(self, server: Postgres | Redis) -> Postgres | Redis:
        """Start it and wait until it takes connections."""
        self._tell(step=f"starting {server.title}")
        began = time.monotonic()
        child = Child(server, server.log)
        self.children.append(child)
        server.prepare()
        self._spawn(child)
        while not server.ready():
            self._pause(0.03)
            self._reap(child)
            if child.process is None:
                self._server_failed(server)
            if time.monotonic() - began > START_SECONDS:
                raise ServerFailed(f"{server.title} did not answer within {START_SECONDS:.0f} s; see {server.log}")
        self._done(f"{server.title} on port {server.port}", time.monotonic() - began)
        return server

    def _server_failed(self, server: Postgres | Redis) -> None:
        raise ServerFailed(f"{server.title} does not start: {server.why()} (the whole log: {server.log})")

    # --- the platform -----------------------------------------------------------------------------------

    def _start_platform(self, wanted: list[Service]) -> None:
        """Start all at once, and wait until the web process can serve and none of them has died."""
        self._tell(step="starting " + ", ".join(service.name for service in wanted))
        began = time.monotonic()
        # Flower comes last: nobody waits for it, and it would slow down what somebody waits for.
        for service in wanted:
            if service.name != "flower":
                self._start_service(service)
        web = next(service for service in wanted if service.name == "web")
        while not (services.answers(web.url or "") and self._workers_registered()):
            self._pause(0.1)
            self._tend()
            for child in self.children:
                if child.crashes >= CRASHES_AT_START:
                    raise ServerFailed(
                        f"{child.name} does not start: {last_line(child.log)} (the whole log: {child.log})"
                    )
            if time.monotonic() - began > START_SECONDS:
                log = self.state.logs / "web.log"
                raise ServerFailed(f"The web process did not become ready within {START_SECONDS:.0f} s; see {log}")
        self._done("platform started", time.monotonic() - began)
        for service in wanted:
            if service.name == "flower":
                self._start_service(service)

    def _start_service(self, service: Service) -> None:
        child = Child(service, self.state.logs / f"{service.name}.log")
        self.children.append(child)
        self._spawn(child)

    def _workers_registered(self) -> bool:
        workers = [child for child in self.children if child.name.startswith("worker-")]
        pids = {child.identity.pid for child in workers if child.identity}
        return len(pids) == len(workers) and services.workers_registered(self.env["DATABASE_URL"], pids)

    def _remember_flower(self, password: str) -> None:
        known = read_json(self.state.credentials)
        login = {"username": "erip", "password": password}
        if known.get("flower") != login:
            write_json(self.state.credentials, {**known, "flower": login})

    # --- children ---------------------------------------------------------------------------------------

    def _spawn(self, child: Child) -> None:
        server = not isinstance(child.what, Service)
        child.process = spawn(
            child.what.command,
            env={**child.what.env, MARK: self.id},
            log=child.log,
            cwd="/" if server else ROOT,
            user=child.what.user if not isinstance(child.what, Service) else None,
            death_signal=child.what.death_signal if isinstance(child.what, Service) else child.what.stop_signal,
        )
        child.identity = Identity.of(child.process.pid)
        child.began = time.monotonic()
        child.due = None
        self._write_status()

    def _reap(self, child: Child) -> None:
        """Note that a child ended, and when it is started again: after 0.5 s, doubling to 30 s."""
        if child.process is None or child.process.poll() is None:
            return
        now = time.monotonic()
        child.crashes = 1 if now - child.began > STEADY_SECONDS else child.crashes + 1
        child.due = now + min(LONGEST_BACKOFF, 0.5 * 2 ** (child.crashes - 1))
        print(f"{child.name} (pid {child.process.pid}) ended with {child.process.returncode}", flush=True)
        child.process = child.identity = None
        self._write_status()

    def _tend(self) -> None:
        """Start again what ended and is due."""
        for child in self.children:
            self._reap(child)
            if child.process is None and child.due is not None and child.due <= time.monotonic():
                child.restarts += 1
                try:
                    if not isinstance(child.what, Service):
                        child.what.prepare()
                    self._spawn(child)
                except (OSError, StackError) as error:
                    child.crashes += 1
                    child.due = time.monotonic() + min(LONGEST_BACKOFF, 0.5 * 2**child.crashes)
                    print(f"{child.name} cannot be started: {error}", flush=True)

    def _next_due(self) -> float:
        dues = [child.due for child in self.children if child.due is not None]
        return max(0.0, min([10.0, *(due - time.monotonic() for due in dues)]))

    def _stop_all(self) -> None:
        """The platform first, all at once; then the servers it needs."""
        self.phase = "stopping"
        for group in (
            [child for child in self.children if not child.is_server],
            [child for child in self.children if child.is_server],
        ):
            living = [child for child in group if child.process is not None and child.process.poll() is None]
            for child in living:
                assert child.process is not None
                child.process.send_signal(child.what.stop_signal)
            for child in living:
                assert child.process is not None
                try:
                    child.process.wait(max(0.1, child.what.stop_patience))
                except subprocess.TimeoutExpired:
                    print(f"{child.name} does not end; killed", flush=True)
                    kill_group(child.process)
                    child.process.wait()

    # --- signals, reports, files ------------------------------------------------------------------------

    def _catch_signals(self) -> None:
        """Signals wake `_pause`; a second one while stopping changes nothing."""
        os.set_blocking(self._wake, False)
        os.set_blocking(self._wakeup, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _pause(self, seconds: float) -> None:
        """Wait for a signal, for `seconds` at most."""
        if self.stopping:
            raise Stopped
        if select.select([self._wakeup], [], [], seconds)[0]:
            os.read(self._wakeup, 512)
        if self.stopping:
            raise Stopped

    def _done(self, title: str, seconds: float) -> None:
        self._tell(done=title, seconds=round(seconds, 2))

    def _tell(self, **what: Any) -> None:
        if self.report is not None:
            try:
                print(json.dumps(what), file=self.report, flush=True)
            except OSError:  # whoever started us does not listen any more
                self.report = None

    def _close_report(self) -> None:
        if self.report is not None:
            self.report.close()
            self.report = None

    def _write_status(self) -> None:
        me = Identity.of(os.getpid())
        write_json(
            self.state.supervisor,
            {
                "id": self.id,
                "phase": self.phase,
                "pid": os.getpid(),
                "started": me.started if me else 0,
                "processes": [
                    {
                        "name": child.name,
                        "title": getattr(child.what, "title", child.name),
                        "pid": child.identity.pid if child.identity else None,
                        "started": child.identity.started if child.identity else None,
                        "restarts": child.restarts,
                        "url": _address(child.what),
                        "log": str(child.log),
                    }
                    for child in self.children
                ],
            },
        )

    def _rotate_logs(self) -> None:
        for log in self.state.logs.glob("*.log"):
            try:
                if log.stat().st_size > LOG_BYTES:
                    rotate(log)
            except OSError as error:
                print(f"{log} cannot be rotated: {error}", flush=True)


def _address(what: Service | Postgres | Redis) -> str | None:
    """Where it listens, without a password."""
    return what.url if isinstance(what, Service) else f"{ports.LOOPBACK}:{what.port}"


def rotate(log: Path) -> None:
    """Keep `log` as `log.1` and so on, and empty it in place: its writer appends, and goes on doing so."""
    for number in range(LOGS_KEPT - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    os.truncate(log, 0)
