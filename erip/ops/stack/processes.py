"""Starting, knowing and ending processes.

A process is known by its pid and its start time, so that a pid that the kernel gave to another program meanwhile is
never signalled. Every process of a stack carries ERIP_STACK_ID in its environment, by which the stack finds what is
left over after a crash.
"""

# ruff: noqa: S603 (programs are started from lists; no word of them comes from a request)

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from erip.ops.stack.privileges import User

MARK = "ERIP_STACK_ID"
PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Identity:
    """One process, past any reuse of its pid."""

    pid: int
    started: float  # seconds since the epoch, as the kernel gives it

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    def process(self) -> psutil.Process | None:
        """The process if it still lives; one that only waits to be reaped does not."""
        try:
            process = psutil.Process(self.pid)
            # The kernel counts in ticks of 10 ms from a boot time that NTP may shift a little.
            if abs(process.create_time() - self.started) > 1.0 or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.NoSuchProcess:
            return None
        return process

    @property
    def alive(self) -> bool:
        return self.process() is not None


def spawn(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    log: Path | int,
    cwd: Path | str = "/",
    user: User | None = None,
    death_signal: int = signal.SIGKILL,
    new_session: bool = False,
    pass_fds: Sequence[int] = (),
    umask: int = -1,
) -> subprocess.Popen[bytes]:
    """Start `command` in a process group of its own, its output appended to `log` (a path or an open file, closed).

    On Linux it gets `death_signal` when the caller dies, however that happens (0: it lives on). Call it from the
    main thread: the kernel means the thread that started the child.
    """
    parent = os.getpid()

    def tie() -> None:
        # After the change of user, which would clear it.
        if _LIBC is not None and death_signal:
            _LIBC.prctl(PR_SET_PDEATHSIG, death_signal)
            if os.getppid() != parent:
                os._exit(1)

    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if isinstance(log, Path) else log
    try:
        return subprocess.Popen(
            [str(part) for part in command],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=None if new_session else 0,
            start_new_session=new_session,
            pass_fds=pass_fds,
            umask=umask,
            preexec_fn=tie,
            **(user.popen() if user else {}),
        )
    finally:
        os.close(output)


def stop(process: subprocess.Popen[bytes], how: int, patience: float) -> None:
    """Ask one child of ours to end; kill its group when `patience` seconds have not sufficed."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            kill_group(process)
    process.wait()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL for a child and all that it started, while it is not yet reaped (so its group is surely its own)."""
    if process.returncode is None:
        # PostgreSQL's backends lead groups of their own.
        children = _children(psutil.Process(process.pid))
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()
        for child in children:
            _signal(child, signal.SIGKILL)
        wait_until(lambda: not any(_runs(child) for child in children), 5)


def end_all(identities: Iterable[Identity], stack_id: str, *, patience: float = 15.0) -> int:
    """End processes that are not our children (their supervisor is gone) and all that carry `stack_id`.

    PostgreSQL is asked with SIGINT, its fast shutdown; the others with SIGTERM. Returns how many there were.
    """
    known = [process for identity in identities if (process := identity.process())]
    found = {process.pid: process for process in known}
    for process in known:
        found |= {child.pid: child for child in _children(process)}
    found |= {process.pid: process for process in marked(stack_id)}
    found.pop(os.getpid(), None)
    for process in found.values():
        _signal(process, signal.SIGINT if _name(process).startswith("postgres") else signal.SIGTERM)
    # Not psutil's wait: it would also wait until their parents reap them.
    if not wait_until(lambda: not any(_runs(process) for process in found.values()), patience):
        for process in found.values():
            _signal(process, signal.SIGKILL)
        wait_until(lambda: not any(_runs(process) for process in found.values()), 5)
    return len(found)


def marked(stack_id: str) -> list[psutil.Process]:
    """Every process that was started with this ERIP_STACK_ID."""
    found = []
    for process in psutil.process_iter():
        try:
            if stack_id and process.environ().get(MARK) == stack_id:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def wait_until(fact: Callable[[], bool], seconds: float, pause: Callable[[float], None] = time.sleep) -> bool:
    """Whether `fact` came true within `seconds`; looked at again after pauses of 20 ms, rising to 200 ms."""
    deadline = time.monotonic() + seconds
    interval = 0.02
    while not fact():
        if time.monotonic() >= deadline:
            return False
        pause(interval)
        interval = min(0.2, interval * 1.3)
    return True


def last_line(log: Path) -> str:
    """The end of a log, to quote in an error."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _runs(process: psutil.Process) -> bool:
    """Whether it is the same process still, and not one that only waits to be reaped."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return


def listens(pid: int, port: int | None) -> bool:
    """Whether the process, or one that it started, listens on `port`."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return any(
            link.status == psutil.CONN_LISTEN and link.laddr.port == port
            for one in family
            for link in one.net_connections("tcp")
        )
    except psutil.Error:
        return False
