"""The processes under supervision: started, missed when they end, started again, ended in order."""

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from erip.foundation.os_errors import in_words
from erip.ops.stack.errors import StackError
from erip.ops.stack.privileges import User
from erip.ops.stack.processes import MARK, Identity, kill_group, spawn
from erip.ops.stack.services import Service
from erip.ops.stack.state import ROOT

# A process that ran this long has started well: the next crash is a first one again.
STEADY_SECONDS = 10.0
LONGEST_BACKOFF = 30.0
# Between two looks at the certificates, which live for weeks.
RENEW_EVERY = 3600.0
# The same while servers that have to be started again for theirs take turns.
RENEW_NEXT = 10.0


class Server(Protocol):
    """A server that the platform needs, as `postgres.Postgres`, `redis.Redis` and those of `ha` are."""

    user: User | None
    log: Path

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def env(self) -> dict[str, str]: ...
    @property
    def command(self) -> list[str]: ...
    @property
    def stop_signal(self) -> int: ...
    @property
    def stop_patience(self) -> float: ...

    def prepare(self) -> None:
        """Write what it needs before each start, also before one after a crash."""

    def ready(self) -> bool:
        """Whether it does its work."""

    def why(self) -> str:
        """The reason of a failed start."""


@dataclass
class Child:
    """A process under supervision, across its restarts."""

    what: Service | Server
    log: Path
    rank: int = 0  # of two ranks the lower is started first and ended last
    process: subprocess.Popen[bytes] | None = None
    identity: Identity | None = None
    began: float = 0.0  # monotonic
    due: float | None = None  # monotonic; when it is started again
    restarts: int = 0
    crashes: int = 0  # in a row

    @property
    def name(self) -> str:
        return self.what.name


class Children:
    """All of a stack's processes, in the order in which they were first started."""

    def __init__(self, stack_id: str, changed: Callable[[], None]) -> None:
        """`changed` is called whenever one was started or ended."""
        self.stack_id = stack_id
        self._changed = changed
        self.all: list[Child] = []
        self._renew_at = time.monotonic() + RENEW_EVERY
        #: replaced, asked to end, and when their patience is over (monotonic)
        self._leaving: list[tuple[Child, float]] = []

    def add(self, what: Service | Server, log: Path, rank: int) -> Child:
        """Take it in; it is not started yet."""
        child = Child(what, log, rank)
        self.all.append(child)
        return child

    def start(self, child: Child) -> None:
        """Start its process."""
        what = child.what
        service = what if isinstance(what, Service) else None
        child.process = spawn(
            what.command,
            env={**what.env, MARK: self.stack_id},
            log=child.log,
            cwd=ROOT if service else getattr(what, "cwd", "/"),
            user=None if isinstance(what, Service) else what.user,
            death_signal=service.death_signal if service else what.stop_signal,
            # Sentinel writes its file anew, passwords and all, and does not care who may read it.
            umask=-1 if service else 0o077,
        )
        child.identity = Identity.of(child.process.pid)
        child.began = time.monotonic()
        child.due = None
        self._changed()

    def replace(self, old: list[Child], fresh: list[Child]) -> None:
        """These processes stand in for those, which end by themselves as soon as they have finished what they do."""
        for before, after in zip(old, fresh, strict=True):
            self.all[self.all.index(before)] = after
            _ask_to_end(before)
            if before.process is not None:
                self._leaving.append((before, time.monotonic() + max(0.1, before.what.stop_patience)))
        self._changed()

    def _see_off(self) -> None:
        for child, until in list(self._leaving):
            if child.process is None or child.process.poll() is not None:
                self._leaving.remove((child, until))
            elif time.monotonic() > until:
                print(f"{child.name} does not end; killed", flush=True)
                kill_group(child.process)

    def reap(self, child: Child) -> None:
        """Note that a child ended, and when it is started again: after 0.5 s, doubling to 30 s."""
        if child.process is None or child.process.poll() is None:
            return
        now = time.monotonic()
        child.crashes = 1 if now - child.began > STEADY_SECONDS else child.crashes + 1
        child.due = now + min(LONGEST_BACKOFF, 0.5 * 2 ** (child.crashes - 1))
        print(f"{child.name} (pid {child.process.pid}) ended with {child.process.returncode}", flush=True)
        child.process = child.identity = None
        self._changed()

    def tend(self) -> None:
        """Start again what ended and is due."""
        self._see_off()
        for child in self.all:
            self.reap(child)
            if child.process is None and child.due is not None and child.due <= time.monotonic():
                child.restarts += 1
                try:
                    if not isinstance(child.what, Service):
                        child.what.prepare()
                    self.start(child)
                except (OSError, StackError) as error:
                    child.crashes += 1
                    child.due = time.monotonic() + min(LONGEST_BACKOFF, 0.5 * 2**child.crashes)
                    print(f"{child.name} cannot be started: {in_words(error)}", flush=True)

    def renew(self) -> None:
        """Once an hour: renew certificates that expire soon, and make the servers read them again."""
        if time.monotonic() >= self._renew_at:
            self.renew_now()

    def renew_now(self) -> None:
        """The same at this moment."""
        self._renew_at = time.monotonic() + RENEW_EVERY
        ended = False
        for child in self.all:
            renew = getattr(child.what, "renew", None)
            number = getattr(child.what, "reload_signal", None)
            ends = getattr(child.what, "one_at_a_time", False)
            if ends and (ended or child.process is None):
                self._renew_at = time.monotonic() + RENEW_NEXT
            elif renew is not None and renew() and number is not None and child.process is not None:
                ended = ended or ends
                child.process.send_signal(number)

    def next_due(self) -> float:
        """Seconds until a child is to be started again, ten at the most."""
        dues = [child.due for child in self.all if child.due is not None]
        dues += [time.monotonic() + 0.5 for _ in self._leaving]
        return max(0.0, min([10.0, *(due - time.monotonic() for due in dues)]))

    def stop_all(self) -> None:
        """End the highest rank, all at once; then the next."""
        for child, _ in self._leaving:
            _wait_for_end(child)
        for rank in sorted({child.rank for child in self.all}, reverse=True):
            living = [child for child in self.all if child.rank == rank and child.process]
            for child in living:
                _ask_to_end(child)
            for child in living:
                _wait_for_end(child)


def _ask_to_end(child: Child) -> None:
    if child.process and child.process.poll() is None:
        child.process.send_signal(child.what.stop_signal)
        child.process.send_signal(signal.SIGCONT)  # one that somebody froze would never notice


def _wait_for_end(child: Child) -> None:
    if child.process is None or child.process.poll() is not None:
        return
    try:
        child.process.wait(max(0.1, child.what.stop_patience))
    except subprocess.TimeoutExpired:
        print(f"{child.name} does not end; killed", flush=True)
        kill_group(child.process)
        child.process.wait()
