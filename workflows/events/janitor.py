"""The leader's duties for events: the log's months are there ahead of time, and what is old enough is forgotten."""

import time
from datetime import UTC, datetime, timedelta

import structlog

from erip.foundation.hooks import leader_duty
from workflows.events.conf import conf
from workflows.events.store import months, owners

log = structlog.get_logger(__name__)

#: seconds between two looks; identities forgotten at a time; months of the log that are made ahead
LOOK_EVERY, AT_A_TIME, AHEAD = 60.0, 50_000, 2
#: seconds after which the row of a consumer that fell silent is dropped
SILENT = 600.0


class Janitor:
    """One per leader; `tidy` is called in each of its rounds."""

    def __init__(self) -> None:
        self._look_at = 0.0

    def tidy(self) -> None:
        """Make the next months, forget old identities, and drop months that nobody wants to keep."""
        if time.monotonic() < self._look_at:
            return
        settings = conf()
        for month in months.ensure_months_ahead(AHEAD):
            log.info("event_month_made", month=month)
        owners.forget_consumers(older_than=SILENT)
        forgotten = months.forget_identities(older_than_days=settings.dedupe_days, limit=AT_A_TIME)
        if forgotten:
            log.info("event_identities_forgotten", identities=forgotten)
        if forgotten == AT_A_TIME:
            return  # the rest in the next rounds
        self._look_at = time.monotonic() + LOOK_EVERY
        if settings.keep_months is not None:
            kept = timedelta(days=31 * settings.keep_months)
            for month in months.drop_months(before=datetime.now(UTC) - kept):
                log.warning("event_log_dropped", month=month)


leader_duty(Janitor().tidy)
