"""One worker process: its executor, its heartbeat, and its own look into PostgreSQL for work without a message."""

import os
import socket
from collections.abc import Sequence

import structlog

from workflows import store
from workflows.ageing import LaneWatch
from workflows.conf import conf
from workflows.executor import Executor
from workflows.handover import Inbox
from workflows.hints import Hints
from workflows.periodic import Periodic
from workflows.warmth import warm_up

log = structlog.get_logger(__name__)

#: seconds between two looks for ready work that nobody was told of
DRAIN_EVERY = 0.5
#: runs taken at one look
DRAIN_LIMIT = 50
#: runs taken before a message when it is the turn of aged work: about what a message brings
AGED_LIMIT = 20


class WorkerProcess:
    """Registers a new life of this worker, and keeps it alive until `stop`."""

    def __init__(self, name: str, lanes: Sequence[str]) -> None:
        settings = conf()
        # Before anybody knows of this worker, so that no run waits for it meanwhile.
        warm_up()
        self.worker_id = store.register_worker(name, socket.gethostname(), os.getpid(), lanes)
        self._watch = LaneWatch(lanes)
        self.hints = Hints()
        self.executor = Executor(self.worker_id, lanes, threads=settings.worker_threads, took=self._watch.took)
        self._inbox = Inbox(self.worker_id, self._take_over)
        self._duties = [
            Periodic("heartbeat", settings.heartbeat, self._beat).start(),
            Periodic("drain", DRAIN_EVERY, self._drain).start(),
        ]
        log.info("worker_registered", worker=name, worker_id=self.worker_id, lanes=list(lanes))

    def take(self, run_ids: Sequence[str]) -> None:
        """Look at the runs of a message; work that has waited for too long goes first when it has the turn.

        run_ids: those that this thread was called for; if a more urgent message came in since, that one is taken.
        """
        self.executor.wait_for_room(unless=self.hints.urgent)
        aged = self._watch.first(AGED_LIMIT)
        if aged:
            self.executor.execute(aged, skip_locked=True)
        self.executor.execute(self.hints.take(run_ids))

    def _take_over(self, run_ids: Sequence[str]) -> bool:
        """What is handed over to this worker (Note [Hand-over] in `handover`)."""
        if not self.executor.has_room():
            return False
        self.executor.take_in_background(run_ids)
        return True

    def _beat(self) -> None:
        store.heartbeat(self.worker_id, rate=self._watch.rate)

    def _drain(self) -> None:
        """Take ready work that has lain for a while: its message was lost, or there is no broker to carry one."""
        self._watch.look()
        if not self.executor.has_room():
            return
        stale = self._watch.stale(DRAIN_LIMIT, older_than=conf().stale_ready)
        if stale:
            self.executor.take_in_background(stale)

    def stop(self, *, grace: float) -> None:
        self._inbox.stop()
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


def received(lane: str, run_ids: Sequence[str]) -> None:
    """A message came in from this lane's queue, and a thread will `take` in its turn."""
    if _current is not None:
        _current.hints.put(lane, run_ids)


def end(*, grace: float) -> None:
    """Stop working: what runs may finish within `grace` seconds."""
    global _current
    if _current is not None:
        _current.stop(grace=grace)
        _current = None
