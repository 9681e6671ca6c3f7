"""The leader's duties for events: the log's months exist ahead of time, and what is old enough is forgotten."""

from datetime import UTC, datetime, timedelta

import structlog
from django.db import transaction

from erip.foundation.hooks import periodic_duty
from workflows.events.conf import conf
from workflows.events.store import deliveries, months, owners, triggers
from workflows.privacy import events, holds

log = structlog.get_logger(__name__)

#: seconds between two runs; identities and deliveries forgotten at a time; months of the log that are made ahead
LOOK_EVERY, IDENTITIES, DELIVERIES, AHEAD = 60.0, 50_000, 5_000, 2
#: seconds after which the row of a consumer that fell silent is dropped
SILENT = 600.0
#: seconds between two searches for trigger windows that have closed
SWEEP_EVERY = 600.0


@periodic_duty(LOOK_EVERY)
def tidy_log() -> bool:
    """Make the next months, forget old identities, and drop months that nobody wants to keep."""
    settings = conf()
    for month in months.ensure_months_ahead(AHEAD):
        log.info("event_month_made", month=month)
    owners.forget_consumers(older_than=SILENT)
    forgotten = months.forget_identities(older_than_days=settings.dedupe_days, limit=IDENTITIES)
    if forgotten:
        log.info("event_identities_forgotten", identities=forgotten)
    if forgotten == IDENTITIES:
        return True
    if settings.keep_months is not None:
        kept = timedelta(days=31 * settings.keep_months)
        with transaction.atomic():
            holds.turn()
            dropped = months.drop_months(before=datetime.now(UTC) - kept, held=holds.keeper("events"))
        for month in dropped:
            # After it, not in it: what drops a month keeps everybody from the log until it is committed.
            first = datetime.strptime(month, "%Y_%m").replace(tzinfo=UTC)
            events.forget(first, months.following(first))
            log.warning("event_log_dropped", month=month)
    return False


@periodic_duty(LOOK_EVERY)
def forget_deliveries() -> bool:
    """Forget deliveries that ended long ago, some at a time."""
    forgotten = deliveries.forget_deliveries(older_than=conf().keep_deliveries, limit=DELIVERIES)
    if forgotten:
        log.info("deliveries_forgotten", deliveries=forgotten)
    return forgotten == DELIVERIES


@periodic_duty(SWEEP_EVERY)
def sweep_windows() -> None:
    """Forget the cases of triggers whose windows have closed."""
    triggers.forget_closed_windows()
