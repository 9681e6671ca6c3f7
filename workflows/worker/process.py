"""One worker process: its executor, its heartbeat, and its own look into PostgreSQL for work without a message."""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence

import structlog
from django.db import DatabaseError

from erip.foundation.hooks import warm_up
from erip.foundation.process.background import database_service
from erip.foundation.process.vitals import pulse
from workflows import engine, store
from workflows.conf import conf
from workflows.starts import dispatch
from workflows.starts.handover import Inbox
from workflows.worker.ageing import LaneWatch
from workflows.worker.executor import Executor
from workflows.worker.hints import Hints

log = structlog.get_logger(__name__)

#: seconds between two looks for ready work that nobody was notified of
DRAIN_EVERY = 0.5
#: runs taken at one look
DRAIN_LIMIT = 50
#: seconds between two looks for steps whose moment has come, and runs at one look. The leader looks too, and takes all;
#: beyond what it can do alone, and while there is no leader, the workers take their share.
DUE_EVERY = 0.5
DUE_LIMIT = 100
#: runs taken before a message when it is the turn of aged work: about what a message brings
AGED_LIMIT = 20


class WorkerProcess:
    """Registers a new life of this worker, and keeps it alive until `stop`."""

    def __init__(self, name: str, lanes: Sequence[str]) -> None:
        settings = conf()
        # Before anybody knows of this worker, so that no run waits for it meanwhile.
        warm_up()
        self.worker_id = store.next_worker_id()
        self._lanes = list(lanes)
        self._watch = LaneWatch(lanes)
        self.hints = Hints()
        self.executor = Executor(self.worker_id, lanes, threads=settings.worker_threads, took=self._watch.took)
        self._inbox = Inbox(self.worker_id, self._take_over)
        self._leaving = False
        # Anyone who sees this worker may hand a run over to it.
        self._inbox.wait_until_it_listens()
        store.register_worker(name, socket.gethostname(), os.getpid(), lanes, worker_id=self.worker_id)
        self._duties = [
            # A failed turn is repeated as soon as a good one: after an outage the leader gives the workers one lease
            # to be heard again.
            database_service(
                "heartbeat",
                self._beat,
                every=settings.heartbeat,
                delay=True,
                back_off=(min(0.2, settings.heartbeat), settings.heartbeat),
            ).start(),
            database_service(
                "drain", self._drain, every=DRAIN_EVERY, delay=True, back_off=(DRAIN_EVERY, DRAIN_EVERY)
            ).start(),
            database_service(
                "due", self._release_due, every=DUE_EVERY, delay=True, back_off=(DUE_EVERY, DUE_EVERY)
            ).start(),
        ]
        log.info("worker_registered", worker=name, worker_id=self.worker_id, lanes=list(lanes))

    def take(self, run_ids: Sequence[str]) -> None:
        """Look at the runs of a message; work that has waited for too long goes first when it has the turn.

        run_ids: those that this thread was called for; if a more urgent message came in since, that one is taken.
        """
        if self._leaving:
            dispatch.hint(self.hints.all())
            return
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
        pulse.looked()
        self._watch.look()
        if not self.executor.has_room():
            return
        stale = self._watch.stale(DRAIN_LIMIT, older_than=conf().stale_ready)
        if stale:
            self.executor.take_in_background(stale)

    def _release_due(self) -> None:
        """Let steps go on whose moment has come, and go on with them; those for which there is no room go to others."""
        while not self._leaving:
            released = engine.release_due(self._lanes, limit=DUE_LIMIT)
            mine = [run_id for lane, run_id in released.hints if lane in self._lanes]
            if mine and self.executor.has_room():
                self.executor.take_in_background(mine)
                dispatch.hint([hint for hint in released.hints if hint[0] not in self._lanes])
            else:
                dispatch.hint(released.hints)
            if released.steps < DUE_LIMIT:
                return

    def leave(self) -> None:
        """Begin nothing new: what runs goes on. Messages that were fetched and not begun go to the other workers."""
        self._leaving = True
        self.executor.leave()
        try:
            # First, so that nobody hands a run over to a worker that does not listen any more.
            store.retire_worker(self.worker_id)
        except DatabaseError as error:
            log.warning("worker_not_retired", error=error)
        self._inbox.stop()
        dispatch.hint(self.hints.all())
        log.info("worker_leaves", worker_id=self.worker_id)

    def stop(self, *, grace: float) -> None:
        """Let what runs finish within `grace` seconds, hand the rest back, and be no worker any more."""
        if not self._leaving:
            self.leave()
        self.executor.stop(grace=grace)
        # All of them first, so that they end side by side.
        for duty in self._duties:
            duty.stop(0)
        for duty in self._duties:
            duty.join()
        store.stop_worker(self.worker_id)


_current: WorkerProcess | None = None
_ending = threading.Lock()
#: on the monotonic clock: when the grace ends of a worker that was asked to leave
_leave_until: float | None = None


def begin(name: str, lanes: Sequence[str]) -> WorkerProcess:
    """Make this process a worker."""
    global _current
    _current = WorkerProcess(name, lanes)
    return _current


def current() -> WorkerProcess:
    """This process's worker. Raises RuntimeError in a process that is none."""
    if _current is None:
        raise RuntimeError("this process is no worker: workflows.worker.process.begin was not called")
    return _current


def received(lane: str, run_ids: Sequence[str]) -> None:
    """A message came in from this lane's queue, and a thread will `take` in its turn."""
    if _current is not None:
        _current.hints.put(lane, run_ids)


def leave(*, grace: float, give_up: Callable[[], None]) -> None:
    """The process is asked to end: begin nothing new, and see to it that it ends.

    Celery waits for its threads for ever. If they are not through in `grace` seconds, what they do is handed back and
    `give_up` is called: it has to end the process, since a thread cannot be stopped.
    """
    global _leave_until
    if _current is None:
        return
    _leave_until = time.monotonic() + grace
    _current.leave()

    def hand_back() -> None:
        end(grace=0.0)
        give_up()

    timer = threading.Timer(grace, hand_back)
    timer.daemon = True
    timer.start()


def end(*, grace: float) -> None:
    """Stop working: what runs may finish within `grace` seconds."""
    global _current
    with _ending:
        if _current is not None:
            if _leave_until is not None:
                grace = min(grace, max(0.0, _leave_until - time.monotonic()))
            _current.stop(grace=grace)
            _current = None
