"""One worker process: its executor, its heartbeat, and its own look into PostgreSQL for work without a message."""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence

import structlog
from django.db import DatabaseError

from erip.foundation.process.background import database_service
from erip.foundation.process.vitals import pulse
from workflows import engine, registry, store
from workflows.conf import conf
from workflows.starts import dispatch
from workflows.starts.handover import Inbox
from workflows.store import lacking
from workflows.worker.ageing import LaneWatch
from workflows.worker.executor import Executor
from workflows.worker.hints import Hints

log = structlog.get_logger(__name__)

#: seconds between two looks for ready work whose message is missing
DRAIN_EVERY = 0.5
#: runs taken at one look
DRAIN_LIMIT = 50
#: seconds between two looks for steps whose moment has come, and runs at one look. The leader looks too, and takes all.
#: The workers take a share when there is more than it can do alone, or no leader.
DUE_EVERY = 0.5
DUE_LIMIT = 100
#: runs taken before a message when it is the turn of aged work: about as many as a message brings
AGED_LIMIT = 20


class WorkerProcess:
    """Registers a new life of this worker, and keeps it alive until `stop`."""

    def __init__(self, name: str, lanes: Sequence[str]) -> None:
        settings = conf()
        self.worker_id = store.next_worker_id()
        self._lanes = list(lanes)
        self._watch = LaneWatch(lanes)
        self.hints = Hints()
        self.executor = Executor(self.worker_id, lanes, threads=settings.worker_threads, took=self._watch.took)
        self._inbox = Inbox(self.worker_id, self._take_over)
        self._leaving = False
        # Once this worker is registered, any process may hand a run over to it.
        self._inbox.wait_until_it_listens()
        self._lacks = lacking.pairs()
        steps = sorted(registry.all())
        store.register_worker(name, socket.gethostname(), os.getpid(), lanes, worker_id=self.worker_id, steps=steps)
        self._duties = [
            # After a failed beat the next one comes as soon as after a good one, because the leader gives the workers
            # only one lease to report again after an outage.
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
        """Look at the runs of a message. When it is the turn of aged work, work that has waited for too long goes
        first.

        run_ids: the runs that this thread was called for. If a more urgent message came in since, it is taken instead.
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
        """Take runs that were handed over to this worker (Note [Hand-over] in `handover`)."""
        if not self.executor.has_room():
            return False
        self.executor.take_in_background(run_ids)
        return True

    def _beat(self) -> None:
        store.heartbeat(self.worker_id, rate=self._watch.rate)
        self.executor.write_beats()
        if self._lacks is not (lacks := lacking.pairs()):
            store.say_what_is_lacked(self.worker_id)
            self._lacks = lacks

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
        """Let due steps go on, and work on them here; those for which there is no room go to other workers."""
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
        """Begin nothing new; running steps go on. Messages that were fetched but not begun go to the other workers."""
        self._leaving = True
        self.executor.leave()
        try:
            # This comes first, so that nobody hands a run over to a worker that no longer listens.
            store.retire_worker(self.worker_id)
        except DatabaseError as error:
            log.warning("worker_not_retired", error=error)
        self._inbox.stop()
        dispatch.hint(self.hints.all())
        log.info("worker_leaves", worker_id=self.worker_id)

    def stop(self, *, grace: float) -> None:
        """Give running steps `grace` seconds to finish, hand the rest back, and stop being a worker."""
        if not self._leaving:
            self.leave()
        self.executor.stop(grace=grace)
        # Ask all of them first, so that they end side by side.
        for duty in self._duties:
            duty.stop(0)
        for duty in self._duties:
            duty.join()
        store.stop_worker(self.worker_id)


_current: WorkerProcess | None = None
_ending = threading.Lock()
#: on the monotonic clock: when the grace period of a worker that was asked to leave ends
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
    """The process is asked to end: begin nothing new, and make sure that it ends.

    Celery waits for its threads for ever. If they have not finished within `grace` seconds, their steps are handed back
    and `give_up` is called. It has to end the process, because a thread cannot be stopped.
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
    """Stop working: running steps may finish within `grace` seconds."""
    global _current
    with _ending:
        if _current is not None:
            if _leave_until is not None:
                grace = min(grace, max(0.0, _leave_until - time.monotonic()))
            _current.stop(grace=grace)
            _current = None
