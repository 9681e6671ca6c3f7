"""The archive's duty: finished runs leave the hot tables after a while, and later the archive too, if the settings ask
for it."""

from datetime import UTC, datetime, timedelta

import structlog
from django.db import transaction

from erip.foundation.hooks import Duty
from workflows import store
from workflows.conf import conf
from workflows.privacy import classes, holds

log = structlog.get_logger(__name__)

#: runs moved at a time: other duties wait meanwhile, and a fan-out may have 10,000 rows
RUNS_AT_A_TIME = 100
#: seconds between two looks once nothing is left to move
LOOK_EVERY = 60.0
#: no run ends later
LAST = datetime.max.replace(tzinfo=UTC)


def tidy() -> bool:
    """Move the next runs, and drop months past their retention. Returns whether there is more."""
    settings = conf()
    moved = store.archive_runs(older_than=settings.archive_after, limit=RUNS_AT_A_TIME)
    if moved:
        log.info("runs_archived", runs=moved)
    if moved == RUNS_AT_A_TIME:
        return True
    if settings.keep_archive_months is not None:
        kept = timedelta(days=31 * settings.keep_archive_months)
        for month in _drop(datetime.now(UTC) - kept):
            log.warning("archive_dropped", month=month)
    return False


def _drop(before: datetime) -> list[str]:
    with transaction.atomic():
        holds.turn()
        # A run that began in a month may have ended long after it.
        held = holds.keeper("runs")
        dropped = store.drop_archive(before=before, held=lambda since, _: held(since, LAST))
        for month in dropped:
            year, number = map(int, month.split("_"))
            # With the runs goes what opens what was sealed of them, wherever else it stands.
            classes.forget_keys(datetime(year, number, 1, tzinfo=UTC), classes.month_after(year, number))
    return dropped


def archivist() -> Duty:
    """The duty of a new leader: its first look is at once."""
    return Duty(tidy, LOOK_EVERY)
