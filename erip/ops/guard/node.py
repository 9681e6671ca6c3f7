"""The processes of this node: Patroni, which is our child, and PostgreSQL, which Patroni detaches from its own tree."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from erip.ops.guard.judgement import Postmaster

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
#: seconds that killed processes may take to go
DEATH_SECONDS = 5.0


class Node:
    """Patroni as configured by `file`, PostgreSQL in `data`. For one thread; any thread may call `tell_patroni`."""

    def __init__(self, file: Path, data: Path) -> None:
        self._file = file
        self._data = data
        self._patroni: subprocess.Popen[bytes] | None = None
        self._seen: psutil.Process | None = None  # the postmaster that was last seen alive

    # --- Patroni ----------------------------------------------------------------------------------------

    @property
    def patroni_runs(self) -> bool:
        return self._patroni is not None and self._patroni.poll() is None

    def start_patroni(self) -> None:
        """It dies with us: the next guard starts a Patroni that finds PostgreSQL running and takes it over."""
        parent = os.getpid()

        def tie() -> None:
            if _LIBC is not None:
                _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != parent:
                    os._exit(1)

        command = [sys.executable, "-m", "erip.ops.guard.patroni", str(self._file)]
        self._patroni = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=tie)  # noqa: S603 (our own words)

    def tell_patroni(self, number: int) -> None:
        if self._patroni is not None and self._patroni.poll() is None:
            self._patroni.send_signal(number)

    def kill_patroni(self) -> None:
        if self._patroni is not None:
            self._patroni.kill()
            self._patroni.wait()

    def wait_for_patroni(self, seconds: float) -> bool:
        """Whether it ended by itself."""
        try:
            if self._patroni is not None:
                self._patroni.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    # --- PostgreSQL -------------------------------------------------------------------------------------

    def postmaster(self) -> Postmaster:
        """Note [Crashed postmasters]: PostgreSQL takes its pid file away when it stops, in whatever mode; one that was
        killed leaves it. Only a postmaster that this guard saw alive can have crashed: an old file says nothing.
        """
        pid = self._pid()
        if pid is None:
            self._seen = None
            return Postmaster.ABSENT
        if self._seen is None or self._seen.pid != abs(pid):
            self._seen = _postgres(pid, self._data)
        if self._seen is None:
            return Postmaster.ABSENT
        return Postmaster.RUNS if _lives(self._seen) else Postmaster.CRASHED

    def kill_postgres(self) -> bool:
        """SIGKILL for all processes that work in the data directory, backends that outlived their postmaster too.

        Returns whether all of them are gone.
        """
        deadline = time.monotonic() + DEATH_SECONDS
        while found := list(self._processes()):
            for process in found:
                _kill(process)
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        self._seen = None
        return True

    def _pid(self) -> int | None:
        try:
            return int((self._data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def _processes(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            if _works_in(process, self._data) and _lives(process):
                yield process


def _postgres(pid: int, data: Path) -> psutil.Process | None:
    try:
        # `initdb` runs PostgreSQL by itself, and writes the negative of its pid.
        process = psutil.Process(abs(pid))
    except psutil.Error:
        return None
    return process if _works_in(process, data) else None


def _works_in(process: psutil.Process, data: Path) -> bool:
    """Whether it is PostgreSQL's: all of its processes have the data directory as their working directory."""
    try:
        return process.name().startswith("postgres") and Path(process.cwd()) == data.resolve()
    except (psutil.Error, OSError):
        return False


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.Error:
        return
