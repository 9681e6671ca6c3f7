"""The processes of a region: Redis, web, worker, leader, and the keepers of its PostgreSQL."""

# ruff: noqa: S603 (programs are started from lists; no word of them comes from a request)

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

import psutil

from erip.ops.region.configuration import Configuration, read
from erip.ops.stack import environment, services
from erip.ops.stack.errors import ServerFailed
from erip.ops.stack.ports import any_free
from erip.ops.stack.postgres import Postgres
from erip.ops.stack.privileges import User
from erip.ops.stack.processes import last_line, spawn
from erip.ops.stack.servers import Server, private_redis
from erip.ops.stack.state import ROOT, State, write_private

from .servers import home, kill_at_once

#: as a unit's ExecStartPre or an init container does it: the process loads when its PostgreSQL takes writes
WAITS = '"$0" manage.py await_primary && exec "$@"'
QUEUES = "critical,high,standard,bulk"


def platform(folder: Path, database: str, broker: str, secret: str, **more: str) -> dict[str, str]:
    """The environment of one process of the platform."""
    state = State(folder / "state")
    state.make()
    return {
        **environment.base(os.environ),
        "DJANGO_SETTINGS_MODULE": "erip.settings.local",
        # The local settings would read the file of a stack that runs.
        "ERIP_STACK_ID": f"disaster-{os.getpid()}",
        "DATABASE_URL": database,
        "ERIP_BROKER_URL": broker,
        "ERIP_SECRET_KEY": secret,
        "ERIP_STATE_DIR": str(state.root),
        "ERIP_REPORT_DIR": str(state.reports),
        "ERIP_EMAIL_URL": "nomail://",
        "ERIP_WEB_WORKERS": "2",
        # What is measured is a loss, not how much a lane admits.
        "ERIP_ADMISSION_MAX_BACKLOG": "10000000",
        "ERIP_ADMISSION_MIN_RATE": "1000000",
        "ERIP_AUDIT_CHECKPOINT_SECONDS": "2",
        **more,
    }


def make_ready(env: dict[str, str], log: Path) -> str:
    """Tables, reference data, an administrator; returns an API key. Raises ServerFailed."""
    order = json.dumps({"new_database": True, "admin_password": token_hex(12)}) + "\n"
    with log.open("ab") as errors:
        done = subprocess.run(
            [sys.executable, "-m", "erip.ops.stack.prepare"], env=env, cwd=ROOT, input=order, text=True,
            stdout=subprocess.PIPE, stderr=errors, check=False,
        )  # fmt: skip
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    key = next((str(one["api_key"]) for one in told if "api_key" in one), None)
    if done.returncode != 0 or key is None:
        raise ServerFailed(f"the database could not be made: {last_line(log)}")
    return key


class Site:
    """One region's processes. more: settings of its own."""

    def __init__(self, name: str, folder: Path, postgres: Server, secret: str, user: User | None, **more: str) -> None:
        self.name, self.folder = name, folder / f"site-{name}"
        self.folder.mkdir(mode=0o755)
        self.redis = private_redis(home(self.folder, "redis", user), State.from_environment(), user)
        self.postgres = postgres
        self._port = any_free()
        self._secret, self._more = secret, more
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def env(self) -> dict[str, str]:
        told = {"ERIP_PUBLIC_URL": self.url, **self._more}
        return platform(self.folder, self.postgres.url, self.redis.url, self._secret, **told)

    def start(self, *, waits: bool = False, cold: bool = False) -> None:
        """waits: until PostgreSQL takes writes, each process is parked. cold: it is not even loaded."""
        self.redis.start()
        env = {**self.env, **({"ERIP_AWAIT_PRIMARY": "true"} if waits and not cold else {})}
        for one in (
            services.web("web", {"ERIP_DRAIN_SECONDS": "0", **env}, self._port),
            # One for all lanes: it gives way to no other.
            services.worker("worker", env, queues=QUEUES, node=self.name, threads="16"),
            services.leader("leader", env),
        ):
            words = ["sh", "-c", WAITS, sys.executable, *one.command] if waits and cold else one.command
            self.processes[one.name] = spawn(words, env=one.env, log=self.folder / f"{one.name}.log", cwd=ROOT)

    def used(self) -> tuple[float, float]:
        """(seconds of CPU that its processes and those that they started have used, Redis not counted; megabytes of
        memory, of which what processes share counts once)."""
        cpu = memory = 0.0
        for one in self.processes.values():
            with suppress(psutil.Error):
                root = psutil.Process(one.pid)
                times = root.cpu_times()
                cpu += times.children_user + times.children_system
                for process in (root, *root.children(recursive=True)):
                    times = process.cpu_times()
                    cpu += times.user + times.system
                    memory += process.memory_full_info().pss / 1e6
        return cpu, memory

    def ready(self) -> bool:
        return services.answers(self.url)

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`manage.py`, whatever comes of it."""
        return subprocess.run(
            [sys.executable, "manage.py", *words], env=self.env, cwd=ROOT, capture_output=True, text=True, check=False
        )

    def stop_worker(self) -> None:
        kill_at_once([self.processes.pop("worker")], [])

    def kill(self) -> None:
        kill_at_once(list(self.processes.values()), [self.redis])
        self.processes.clear()


class Kept:
    """One PostgreSQL with its keeper, and the commands of docs/how-to/second-region.md on its host."""

    def __init__(self, region: str, node: str, server: Server, folder: Path, witness: list[str], hold: float) -> None:
        kind = server.kind
        assert isinstance(kind, Postgres)
        self.region, self.node, self.server = region, node, server
        self.file, self.log = folder / f"{region}-{node}.toml", folder / f"{region}-{node}.log"
        drop = (
            ["setpriv", f"--reuid={kind.user.uid}", f"--regid={kind.user.gid}", "--clear-groups"] if kind.user else []
        )
        promote = [*drop, str(kind.binary.path.with_name("pg_ctl")), "promote", "-w", "-t", "60", "-D", str(kind.data)]
        write_private(
            self.file,
            f'name = "erip"\nregion = "{region}"\nnode = "{node}"\ndata = "{kind.data}"\nhold_seconds = {hold}\n'
            f"witness = {json.dumps(witness)}\npromote = {json.dumps(promote)}\n",
        )
        self.keeper: subprocess.Popen[bytes] | None = None

    @property
    def configuration(self) -> Configuration:
        return read(self.file)

    def keep(self) -> None:
        words = [sys.executable, "-m", "erip.ops.region", str(self.file), "keeper"]
        self.keeper = spawn(words, env=environment.base(os.environ), log=self.log, cwd=ROOT)

    def command(self, *words: str) -> str:
        """`python -m erip.ops.region`; what it prints. Raises ServerFailed."""
        done = subprocess.run(
            [sys.executable, "-m", "erip.ops.region", str(self.file), *words], cwd=ROOT, capture_output=True,
            text=True, env=environment.base(os.environ), check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise ServerFailed(f"erip.ops.region {' '.join(words)}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def stop(self) -> None:
        if self.keeper:
            kill_at_once([self.keeper], [])
