"""One worker process: its executor, its heartbeat, and its own look into PostgreSQL for work without a message."""

import os
import socket
from collections.abc import Sequence

import structlog

from workflows import store
from workflows.conf import conf
from workflows.executor import Executor
from workflows.periodic import Periodic

log = structlog.get_logger(__name__)

#: seconds between two looks for ready work that nobody was told of
DRAIN_EVERY = 0.5
#: runs taken at one look
DRAIN_LIMIT = 50


class WorkerProcess:
    """Registers a new life of this worker, and keeps it alive until `stop`."""

    def __init__(self, name: str, lanes: Sequence[str]) -> None:
        settings = conf()
        self.worker_id = store.register_worker(name, socket.gethostname(), os.getpid(), lanes)
        self.executor = Executor(self.worker_id, lanes, threads=settings.worker_threads)
        self._lanes = list(lanes)
        self._duties = [
            Periodic("heartbeat", settings.heartbeat, lambda: store.heartbeat(self.worker_id)).start(),
            Periodic("drain", DRAIN_EVERY, self._drain).start(),
        ]
        log.info("worker_registered", worker=name, worker_id=self.worker_id, lanes=self._lanes)

    def _drain(self) -> None:
        """Take ready work that has lain for a while: its message was lost, or there is no broker to carry one."""
        if not self.executor.has_room():
            return
        stale = store.stale_ready_runs(self._lanes, older_than=conf().stale_ready, limit=DRAIN_LIMIT)
        if stale:
            self.executor.take_in_background(stale)

    def stop(self, *, grace: float) -> None:
        self.executor.stop(grace=grace)
        for duty in self._duties:
            duty.stop()
        store.stop_worker(self.worker_id)


_current: WorkerProcess | None = None


def begin(name: str, lanes: Sequence[str]) -> WorkerProcess:
    """Make this process a worker."""
    global _current
    _current = WorkerProcess(name, lanes)
    return _current


def current() -> WorkerProcess:
    """This process's worker. Raises RuntimeError in a process that is none."""
    if _current is None:
        raise RuntimeError("this process is no worker: workflows.worker.begin was not called")
    return _current


def end(*, grace: float) -> None:
    """Stop working: what runs may finish within `grace` seconds."""
    global _current
    if _current is not None:
        _current.stop(grace=grace)
        _current = None
