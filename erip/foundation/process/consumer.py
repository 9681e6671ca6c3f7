"""The worker's consumer, as `CELERY_WORKER_CONSUMER` names it: comes back quickly when the broker does."""

import time
from typing import Any

import structlog
from celery.utils.log import get_logger
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown
from redis.exceptions import NoPermissionError

from erip.foundation.process.vitals import pulse

log = get_logger(__name__)
told = structlog.get_logger(__name__)

#: seconds between two tries to reach the broker: first, growing by, and at most.
#: Celery's own, 2 s growing to 30 s, cannot be set, and would be most of a failover (measured: 7.2 s against 3.5 s).
FIRST, STEP, MOST = 0.2, 0.2, 1.0
#: seconds until a worker that the broker let in, and then refused, tries again. Somebody has to change its login's
#: rights first, and four tries a second would cost a fifth of a core.
REFUSED = 10.0


class Consumer(CeleryConsumer):
    """Tries for ever: without a broker the worker lives on what it finds in PostgreSQL."""

    def ensure_connected(self, conn: Any) -> Any:
        """Wait until the broker can be reached; ends with the worker (`maybe_shutdown`)."""

        def failed(error: Exception, interval: float) -> None:
            pulse.reconnecting()
            if self.broker_connection_retry_attempt % 20 == 0:
                log.error("consumer: cannot connect to %s: %s", conn.as_uri(), error)
            self.broker_connection_retry_attempt += 1

        conn = conn.ensure_connection(
            failed,
            max_retries=None,
            interval_start=FIRST,
            interval_step=STEP,
            interval_max=MOST,
            callback=maybe_shutdown,
        )
        self.first_connection_attempt = False
        self.broker_connection_retry_attempt = 0
        return conn

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Says why, which Celery's own line does not (`PATTERN_ONLY` in `logs`), and rests where haste is in vain."""
        refused = isinstance(exc, NoPermissionError)
        say = told.error if refused else told.warning
        say("broker_refuses" if refused else "broker_lost", error=exc)
        super().on_connection_error_after_connected(exc)
        if refused:
            _rest(REFUSED)


def _rest(seconds: float) -> None:
    """Ends with the worker."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        maybe_shutdown()
        pulse.reconnecting()
        time.sleep(min(left, FIRST))
