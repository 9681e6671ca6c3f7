"""The leader's duties: what only one process may do at a time. There may be any number of candidates; an advisory lock
picks one.

Recovery makes work claimable again and never executes it: it goes through the same door as every other happening.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from uuid import uuid4

import structlog

from erip.foundation.db.connections import drop_connection, keep_connection
from erip.foundation.db.direct import SessionLock
from erip.foundation.db.failures import ERRORS, is_passing
from erip.foundation.hooks import leader_begins, leader_duty
from erip.foundation.process import alive
from erip.foundation.process.pacing import Pace
from workflows import engine, store
from workflows.conf import conf
from workflows.core.machine import RunTimedOut
from workflows.core.states import Lane
from workflows.graphs import graph_of
from workflows.leader import batches
from workflows.leader.archive import archivist
from workflows.leader.lost import LostSteps, report
from workflows.leader.unmet import Unmet
from workflows.starts import dispatch
from workflows.store import Report, chunks

log = structlog.get_logger(__name__)

#: seconds between two rounds
EVERY = 0.25
#: rows of one duty in one round
LIMIT = 1_000
#: lost chunks whose runs leave in one round: a few hundred runs
CHUNKS = 5
#: runs whose due steps go on in one transaction; workers pass over the runs that it locks
DUE_LIMIT = 500
#: seconds before the reconciler publishes the same ready step again
HINT_AGAIN_AFTER = 10.0
#: idempotency keys are kept for a week
KEEP_KEYS_DAYS = 7
FORGET_EVERY = 3600.0


class Leader:
    """Runs the duties while it holds the lock; call `run` in a process's main thread."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._leading_since: float | None = None
        self._lock = SessionLock(store.LEADER_LOCK)
        self._forget_at = 0.0
        self._lost_steps = LostSteps()
        self._touched_at = -alive.EVERY
        self._archivist = archivist()
        #: whether the next round has work that was left over
        self._more = False
        self._unmet = Unmet()
        self._hint_pace = Pace()
        self._id = str(uuid4())
        #: the session that was recorded last, when it is recorded again, and since when there is this session
        self._recorded: tuple[int, float, float] = (0, 0.0, 0.0)

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Run until `stop`. A lost connection also loses the lock, and then the process is a candidate again."""
        # A long duty, such as archiving, would start again in each round if it were cut off.
        keep_connection(unhurried=True)
        while not self._stop.is_set():
            try:
                self._round()
            except ERRORS as error:
                if is_passing(error):
                    log.warning("leader_interrupted", error=error)
                else:
                    log.exception("leader_round_failed")
                # Whatever the error was, the next round begins with new connections and a new lock.
                self._stand_down()
            except Exception:
                log.exception("leader_round_failed")
            self._touch()
            if not self._more:
                self._stop.wait(EVERY)
        self._stand_down()
        try:
            store.leader_ends(self._id)
        except ERRORS as error:
            # It counts as alive for one lease.
            log.warning("leader_not_forgotten", error=error)

    def _stand_down(self) -> None:
        self._leading_since = None
        self._lock.release()
        drop_connection()

    def _touch(self) -> None:
        """Note that the loop still turns, whether it leads or waits: for the liveness probe (`python -m
        erip.foundation.process.alive leader`)."""
        if time.monotonic() - self._touched_at >= alive.EVERY:
            self._touched_at = time.monotonic()
            try:
                alive.touch("leader")
            except OSError as error:
                log.error("heartbeat_file_not_written", error=error)

    def _round(self) -> None:
        self._more = False
        if not self._lead():
            return
        own: tuple[Callable[[], object], ...] = (
            self._recover_lost,
            self._release_due,
            self._end_overdue,
            self._hint_stale,
            self._work_off_batches,
            self._forget,
            self._archivist,
            *leader_duty.all(),
        )
        self._do(own)

    def _do(self, duties: Sequence[Callable[[], object]]) -> None:
        for duty in duties:
            if self._stop.is_set():
                return
            try:
                duty()
            except Exception as error:
                if isinstance(error, ERRORS) and is_passing(error):
                    raise
                # A duty that fails is no reason to leave the others undone, nor to stand down: a leader that stands
                # down waits for one lease before it recovers lost steps, and would wait for ever if one row's fault
                # came back in each round.
                log.exception("duty_failed", duty=getattr(duty, "__qualname__", repr(duty)))

    def _lead(self) -> bool:
        """Whether this process is the leader. It asks for the lock in each round, on a separate connection."""
        self._say_what_it_reads(self._lock.connect())
        if not self._lock.acquire():
            self._leading_since = None
            return False
        if self._leading_since is None:
            log.info("leader_elected")
            self._do(leader_begins.all())
            self._leading_since = time.monotonic()
        return True

    def _say_what_it_reads(self, session: int) -> None:
        """Before it may lead: a leader that holds the lock and says nothing is taken for one of an earlier release."""
        now = time.monotonic()
        recorded, again_at, since = self._recorded
        if session == recorded and now < again_at:
            return
        lease = conf().lease
        since = since if session == recorded else now
        # The database may just have been away for all candidates.
        knows = now - since >= lease
        store.leader_lives(self._id, socket.gethostname(), os.getpid(), session=session, lease=lease, forgets=knows)
        self._recorded = (session, time.monotonic() + lease / 3, since)

    def _recover_lost(self) -> None:
        """Steps of silent workers run again."""
        settings = conf()
        if self._leading_since is None or time.monotonic() - self._leading_since < settings.lease:
            # PostgreSQL may just have been away for everyone: the workers get one lease to report again.
            return
        for name in store.bury_silent_workers(lease=settings.lease):
            log.warning("worker_lost", worker=name)
        self._lost_steps.see_to(settings.max_lost_attempts)
        chunks_ended, hints = chunks.release_orphans(limit=CHUNKS, graph_of=graph_of)
        if chunks_ended:
            dispatch.hint(hints)
            log.warning("chunks_recovered", chunks=chunks_ended, runs=len(hints))

    def _release_due(self) -> None:
        """Let all due steps go on, the most urgent lane first, and not only one portion for each round."""
        while not self._stop.is_set():
            released = engine.release_due(list(Lane), limit=DUE_LIMIT)
            dispatch.hint(released.hints)
            if released.steps < DUE_LIMIT:
                return

    def _end_overdue(self) -> None:
        overdue = store.overdue_runs(limit=LIMIT)
        if overdue:
            report([Report(run_id, RunTimedOut()) for run_id in overdue])
            log.warning("runs_timed_out", runs=len(overdue))

    def _hint_stale(self) -> None:
        """Ready work that nobody picked up serves as the outbox: publish it again."""
        nobody_has = self._unmet.look()

        def look() -> Sequence[tuple[str, str]]:
            return store.rehint_stale_ready(
                older_than=2 * conf().stale_ready, again_after=HINT_AGAIN_AFTER, limit=LIMIT, nobody_has=nobody_has
            )

        # The search reads past all steps that nobody has, however many wait.
        hints = self._hint_pace.search(look) if nobody_has else look()
        hints = [
            *hints,
            *chunks.rehint_stale(older_than=2 * conf().stale_ready, again_after=HINT_AGAIN_AFTER, limit=LIMIT),
        ]
        if hints:
            dispatch.hint(hints)
            log.info("ready_work_hinted_again", steps=len(hints))

    def _work_off_batches(self) -> None:
        self._more = batches.work_off()

    def _forget(self) -> None:
        if time.monotonic() >= self._forget_at:
            self._forget_at = time.monotonic() + FORGET_EVERY
            store.forget_idempotency_keys(older_than_days=KEEP_KEYS_DAYS)
            batches.forget()
