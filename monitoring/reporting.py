"""What this process reports of itself: one row, rewritten every two seconds, with the counters of all its registries.

Note [Reports]
Each process writes its own row and no other, so reports never wait for each other, and a process that is killed leaves
its last one. The names of the series are written only when they change. The row's table is unlogged: a report costs
PostgreSQL one page in memory and no wait for the disk.
"""

import atexit
import os
import socket
import time
import uuid
from collections import deque
from datetime import UTC, datetime

import structlog

from erip.foundation import hooks
from erip.foundation.db import phases
from erip.foundation.db.failures import is_passing, sqlstate
from erip.foundation.process.background import database_service
from erip.foundation.process.beginning import started_at
from erip.foundation.service import Service
from monitoring import store
from monitoring.core.changes import TOLD_FOR, Change, What, told
from monitoring.core.components import REPORT_EVERY, SILENT_AFTER
from monitoring.core.series import samples
from monitoring.watching import watching

log = structlog.get_logger(__name__)

#: seconds that a process which ends gives PostgreSQL to note it
FAREWELL = 1.0
_NO_TABLE, _NO_COLUMN = "42P01", "42703"


def may_wait(error: BaseException) -> bool:
    """Whether the error passes: PostgreSQL is away, or a release that is newer than its tables waits for them."""
    return is_passing(error) or sqlstate(error) in (_NO_TABLE, _NO_COLUMN)


class Standing:
    """Notices that this process stood still: it was frozen, or got no share of the processor. Others missed it
    meanwhile; when it goes on, its reports are there again, and nobody could tell who had been missing.

    For one thread, which says when a turn begins and when it ended well. Only the rest between two turns is looked at:
    what takes long within a turn, or after one that failed, is PostgreSQL.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._rests: float | None = None
        #: a few: what is old is told to nobody
        self.changes: deque[Change] = deque(maxlen=4)

    def begin(self) -> None:
        rests, self._rests = self._rests, None
        if rests is None or (still := time.monotonic() - rests) <= SILENT_AFTER:
            return
        now, name = time.time(), f"{socket.gethostname()[:200]}/{os.getpid()}"
        who = f"The {self._kind} on {socket.gethostname()[:200]} (process {os.getpid()})"
        after = now - still
        self.changes += (
            # It would have gone on after REPORT_EVERY seconds.
            Change(self._kind, name, What.FAILED, after, after + REPORT_EVERY, f"{who} stood still for {still:.0f} s."),
            Change(self._kind, name, What.RECOVERED, now, now, f"{who} goes on."),
        )

    def end(self) -> None:
        self._rests = time.monotonic()


class Reporter:
    """Reports one life of a process."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.life = uuid.uuid4()
        self._started = datetime.fromtimestamp(started_at(), UTC)
        self._written: list[str] | None = None
        # At once: the files may be those of another release in a moment.
        self._knows = _known()
        self._standing = Standing(kind)

    def report(self) -> None:
        """Write the row. Raises django.db.Error."""
        self._standing.begin()
        found = list(samples(hooks.metrics.all()))
        names = [f"{'+' if one.rises else '='}{one.series}" for one in found]
        # After a crash of PostgreSQL, or when the row was forgotten, an update meets nothing; then all is written.
        new = names != self._written
        now = time.time()
        row = store.Report(
            life=self.life,
            kind=self.kind,
            host=socket.gethostname()[:200],
            pid=os.getpid(),
            started_at=self._started,
            series=names,
            values=[one.value for one in found],
            observed=[
                *(store.observed(one, now) for one in watching.observations()),
                *(told(one, now) for one in (*watching.changes(), *self._standing.changes) if now - one.by <= TOLD_FOR),
            ]
            or None,
            knows=self._knows,
        )
        if new or not store.update_report(row):
            store.insert_report(row)
        self._written = names
        self._standing.end()

    def end(self) -> None:
        """Note that the process ends in good order. Never raises, and never holds up the end for long."""
        store.farewell(self.life, FAREWELL)


def _known() -> tuple[str, ...]:
    """None where they cannot be read: that is of a release that knows of none."""
    try:
        return phases.known()
    except Exception:
        log.exception("contracts_not_known")
        return ()


_service: Service | None = None


def begin(kind: str) -> None:
    """Report this process from now on, as one of this kind."""
    global _service
    reporter = Reporter(kind)
    _service = database_service(
        "report", reporter.report, keeps=False, every=REPORT_EVERY, back_off=(REPORT_EVERY, 10.0), expected=may_wait
    ).start()
    mine = os.getpid()

    def leave() -> None:
        # A child that was forked later inherits this, and is not the process that ends.
        if os.getpid() == mine and _service is not None:
            _service.stop(0)
            reporter.end()

    atexit.register(leave)
