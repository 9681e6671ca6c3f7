"""A process of a region that follows another one: it stands ready, and begins when its PostgreSQL takes writes.

Note [Standing by]
Loading the platform takes seconds of CPU in each process, and after a disaster all of them would load at once. So with
ERIP_AWAIT_PRIMARY each process is loaded before its region has the turn, and waits at the last moment before it would
write: a worker before it registers, a leader before it asks for its lock, a web process before it begins its services.
Until then it does nothing but ask its PostgreSQL, EVERY half a second, whether it takes writes, and note that it lives.

Nobody tells a process to begin: no file, signal or message. What it waits for is the promotion itself, which follows
only when the other region is fenced (Note [One region writes] in `erip/ops/region`). Whatever else happens, its writes
would be refused by a standby. A database that does not answer is no answer: it waits.

It does not come back. A region that handed its turn over and follows now has processes that were at work. They notice
that their PostgreSQL follows another one, and end, so that their supervisor starts them parked; what they had begun is
not theirs any more. A failover within a region looks the same for a moment, so that must have been so for AGAIN_AFTER
seconds.
"""

import os
import signal
import time
from collections.abc import Callable
from typing import Final

import structlog
from django.conf import settings

from erip.foundation.db import phases
from erip.foundation.db.primary import FOLLOWS, Primary
from erip.foundation.process import alive
from erip.foundation.service import STOPS_WITHIN, Service, once

log = structlog.get_logger(__name__)

#: seconds between two questions, and for which each may take
EVERY: Final = 0.5
PATIENCE: Final = 2.0
#: seconds between two looks of a process at work whether its PostgreSQL follows another one, and after which it ends
LOOK_EVERY: Final = 5.0
AGAIN_AFTER: Final = 20.0

#: why this process waits; "" if it does not
_why = ""
#: whether it has ever waited
_stood_by = False


def stood_by() -> bool:
    """Whether this process stood by before it began: what its database has was not looked at when it started."""
    return _stood_by


def why() -> str:
    """Why this process only stands by; "" if it is at work."""
    return _why


def wait(name: str = "") -> None:
    """Return when PostgreSQL takes writes; at once where ERIP_AWAIT_PRIMARY is off.

    name: of the heartbeat file of this process (`alive`), which says that it is parked; "": it has none.
    """
    if not settings.ERIP_AWAIT_PRIMARY:
        return
    # What this process has loaded is what it will run, whatever files are in place when its turn comes.
    phases.known()

    def end(*_: object) -> None:
        # Nobody else has set a handler yet, and without one the first process of a container would not hear of it.
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        _park(name)
    finally:
        signal.signal(signal.SIGTERM, before)
    _watch()


def then(begin: Callable[[], object]) -> None:
    """Call `begin` when PostgreSQL takes writes: at once, and here, where ERIP_AWAIT_PRIMARY is off or it does so now;
    otherwise in a thread."""
    global _why, _stood_by
    if not settings.ERIP_AWAIT_PRIMARY:
        begin()
        return
    # Asked once before: in the region that writes, a process must not begin with telling its callers that it is parked.
    primary = Primary()
    no = primary.why_not(PATIENCE)
    primary.close()
    if no is None:
        begin()
        _watch()
        return
    _why, _stood_by = no, True

    def work() -> None:
        try:
            _park("", begin)
        except BaseException:
            # It would stand by for ever, and say that it lives.
            log.exception("parked_failed")
            os.kill(os.getpid(), signal.SIGTERM)
            raise
        _watch()

    once("parked", work)


def _park(name: str, begin: Callable[[], object] = lambda: None) -> None:
    global _why
    primary = Primary()
    said = ""
    while (no := primary.why_not(PATIENCE)) is not None:
        _why = no
        if no != said:
            said = no
            log.info("parked", because=no)
        _say(name, alive.PARKED)
        time.sleep(EVERY)
    primary.close()
    if said:
        log.info("turn_has_come")
    begin()
    _say(name, "")
    _why = ""


def _say(name: str, what: str) -> None:
    if name:
        try:
            alive.touch(name, what)
        except OSError as error:
            log.error("heartbeat_file_not_written", error=error)


def _watch() -> None:
    primary, since = Primary(), 0.0

    def look() -> None:
        nonlocal since
        if primary.why_not(PATIENCE) != FOLLOWS:
            since = 0.0
            return
        since = since or time.monotonic()
        if time.monotonic() - since >= AGAIN_AFTER:
            log.warning("turn_is_over")
            os.kill(os.getpid(), signal.SIGTERM)
            # What it would write at its end cannot be written: it must not try for ever.
            time.sleep(settings.ERIP_SHUTDOWN_GRACE_SECONDS + STOPS_WITHIN)
            os._exit(1)

    Service("turn", look, every=LOOK_EVERY, delay=True).start()
