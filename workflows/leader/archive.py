"""The archive's duty: finished runs leave the hot tables in time, and the archive in the end, if it is told to."""

import time
from datetime import UTC, datetime, timedelta

import structlog

from workflows import store
from workflows.conf import conf

log = structlog.get_logger(__name__)

#: runs moved at a time: other duties wait meanwhile, and a fan-out may have 10,000 rows
RUNS_AT_A_TIME = 100
#: seconds between two looks once nothing is left to move
LOOK_EVERY = 60.0


class Archivist:
    """One per leader; `tidy` is called in each of its rounds."""

    def __init__(self) -> None:
        self._look_at = 0.0

    def tidy(self) -> None:
        """Move the next runs, if there are any, and drop months that nobody wants to keep."""
        if time.monotonic() < self._look_at:
            return
        settings = conf()
        moved = store.archive_runs(older_than=settings.archive_after, limit=RUNS_AT_A_TIME)
        if moved:
            log.info("runs_archived", runs=moved)
        if moved == RUNS_AT_A_TIME:
            return
        self._look_at = time.monotonic() + LOOK_EVERY
        if settings.keep_archive_months is not None:
            kept = timedelta(days=31 * settings.keep_archive_months)
            for month in store.drop_archive(before=datetime.now(UTC) - kept):
                log.warning("archive_dropped", month=month)
