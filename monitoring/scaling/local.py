"""Worker processes of this machine, as children of the autoscaler."""

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import structlog

from erip.foundation.os_errors import in_words
from erip.ops.stack.environment import of_further_worker
from erip.ops.stack.processes import kill_group, spawn
from monitoring.scaling.drivers import ScalingFailed, Usage

log = structlog.get_logger(__name__)

ROOT = Path(__file__).resolve().parents[2]
LANES = "critical,high,standard,bulk"
#: share of the machine's memory in use above which no worker is added: another one would not lower it
MEMORY_FULL = 0.80


@dataclass(eq=False)
class _Child:
    number: int
    process: subprocess.Popen[bytes]
    #: CPU seconds and the moment at which they were read
    cpu: float = 0.0
    read_at: float | None = None
    #: monotonic; when it is killed if it has not ended. None: it stays
    leaves_by: float | None = None


class LocalDriver:
    """Starts workers, and ends the newest with SIGTERM: they finish their work or hand it back.

    They end with the autoscaler, however that ends. A worker that died is started again.
    """

    target = "local workers"

    def __init__(self, *, env: dict[str, str], log: Path, threads: int, grace: float, nice: int = 10) -> None:
        """env: the environment that theirs is made of (`of_further_worker`). grace: seconds that a worker may take to
        end."""
        self._env = of_further_worker(env)
        self._log, self._threads, self._grace, self._nice = log, threads, grace, nice
        self._wanted = 0
        self._children: list[_Child] = []

    def replicas(self) -> int:
        self._tend()
        return self._wanted

    def scale(self, replicas: int) -> None:
        self._wanted = replicas
        self._tend()

    def usage(self) -> Usage:
        """CPU as a share of one core for each worker: with Python's lock it uses no more."""
        shares = [share for child in self._staying() if (share := _cpu_share(child)) is not None]
        full = psutil.virtual_memory().percent / 100 > MEMORY_FULL
        return Usage(cpu=sum(shares) / len(shares) if shares else None, full=full)

    def close(self) -> None:
        """End them all, and wait for it."""
        self._wanted = 0
        self._tend()
        for child in self._children:
            left = max(0.1, (child.leaves_by or 0.0) - time.monotonic())
            try:
                child.process.wait(left)
            except subprocess.TimeoutExpired:
                kill_group(child.process)
                child.process.wait()
        self._children.clear()

    def _staying(self) -> list[_Child]:
        return [child for child in self._children if child.leaves_by is None]

    def _tend(self) -> None:
        """Forget those that have ended, end the newest if too many, start missing ones, kill those that do not end."""
        now = time.monotonic()
        for child in list(self._children):
            if child.process.poll() is not None:
                self._children.remove(child)
                if child.leaves_by is None:
                    log.warning("worker_ended", worker=child.number, status=child.process.returncode)
            elif child.leaves_by is not None and now > child.leaves_by:
                log.warning("worker_does_not_end", worker=child.number)
                kill_group(child.process)
        staying = self._staying()
        for child in staying[self._wanted :]:
            child.leaves_by = now + self._grace
            child.process.terminate()
        for _ in range(self._wanted - len(staying)):
            self._children.append(self._start())

    def _start(self) -> _Child:
        taken = {child.number for child in self._children}
        number = next(number for number in range(1, len(taken) + 2) if number not in taken)
        command = [
            *("nice", "-n", str(self._nice), sys.executable, "-m", "erip.worker"),
            *("--pool=threads", "-c", str(self._threads), "-Q", LANES, "-n", f"scaled-{number}@%h"),
            *("--without-mingle", "--without-gossip", "--loglevel=INFO"),
        ]
        try:
            started = spawn(command, env=self._env, log=self._log, cwd=ROOT, death_signal=signal.SIGTERM)
            return _Child(number, started)
        except OSError as error:
            raise ScalingFailed(f"a worker cannot be started: {in_words(error)}") from error


def _cpu_share(child: _Child) -> float | None:
    """Since the last look; None at the first."""
    try:
        times = psutil.Process(child.process.pid).cpu_times()
    except psutil.Error:
        return None
    now, used = time.monotonic(), times.user + times.system
    before, at = child.cpu, child.read_at
    child.cpu, child.read_at = used, now
    return None if at is None or now <= at else (used - before) / (now - at)
