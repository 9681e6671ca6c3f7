"""A duty of the leader: deliveries that ended long ago are forgotten, some at a time."""

import time
from typing import Final

import structlog

from erip.foundation.hooks import leader_duty
from workflows.events.conf import conf
from workflows.events.store.deliveries import forget_deliveries

log = structlog.get_logger(__name__)

#: seconds between two looks, and deliveries forgotten at one
LOOK_EVERY: Final = 60.0
AT_A_TIME: Final = 5_000


class Forgetting:
    """One per leader; `tidy` is called in each of its rounds."""

    def __init__(self) -> None:
        self._look_at = 0.0

    def tidy(self) -> None:
        if time.monotonic() < self._look_at:
            return
        forgotten = forget_deliveries(older_than=conf().keep_deliveries, limit=AT_A_TIME)
        if forgotten:
            log.info("deliveries_forgotten", deliveries=forgotten)
        if forgotten < AT_A_TIME:
            # Otherwise the rest in the next rounds.
            self._look_at = time.monotonic() + LOOK_EVERY


leader_duty(Forgetting().tidy)
