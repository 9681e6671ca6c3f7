"""A process of a region that follows another one: it stands ready, and begins when its PostgreSQL takes writes.

Note [Standing by]
Loading the platform takes seconds of CPU in each process, and after a disaster all of them would load at once. So with
ERIP_AWAIT_PRIMARY each process is loaded before its region has the turn, and waits at the last moment before it would
write: a worker before it registers, a leader before it asks for its lock, a web process before it begins its services.
Until then it does nothing but ask its PostgreSQL, EVERY half a second, whether it takes writes, and note that it lives.

Nobody tells a process to begin: no file, signal or message. What it waits for is the promotion itself, which follows
only when the other region is fenced (Note [One region writes] in `erip/ops/region`). Whatever else happens, its writes
would be refused by a standby. A database that does not answer is no answer: it waits.

It runs what it has loaded, however long ago, and nobody sees of which release that is, for it reports nothing. Where
the other region contracted meanwhile (Note [Contracting] in `erip/foundation/db/phases.py`), it would use what is not
there any more. So it asks for that when its turn comes, and ends: its supervisor starts what is installed by then. That
one begins at once, as a process of its release does anywhere. What only added something is no reason.

What begins takes a while, on a host on which all others begin too. Its heartbeat file is touched meanwhile, for as long
as a startup probe would have given it: that probe was content while it was parked.

It does not come back. A region that handed its turn over and follows now has processes that were at work. They notice
that their PostgreSQL follows another one, and end, so that their supervisor starts them parked; what they had begun is
not theirs any more. A failover within a region looks the same for a moment, so that must have been so for AGAIN_AFTER
seconds.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import psycopg2
import structlog
from django.conf import settings

from erip.foundation.db import phases
from erip.foundation.db.primary import FOLLOWS, Primary
from erip.foundation.os_errors import in_words
from erip.foundation.process import alive
from erip.foundation.process.early_end import ends_when_told
from erip.foundation.process.vitals import pulse
from erip.foundation.service import STOPS_WITHIN, Service, once

log = structlog.get_logger(__name__)

#: seconds between two questions, and for which each may take
EVERY: Final = 0.5
PATIENCE: Final = 2.0
#: seconds between two looks of a process at work whether its PostgreSQL follows another one, and after which it ends
LOOK_EVERY: Final = 5.0
AGAIN_AFTER: Final = 20.0
#: seconds that a process has to begin once its turn has come, as the startup probes of deploy/k8s have it
BEGINS_WITHIN: Final = 120.0
#: how a process is asked to end
_ENDS: Final = frozenset({signal.SIGTERM, signal.SIGINT})

#: why this process waits; "" if it does not
_why = ""
#: whether it has ever waited
_stood_by = False


class Outdated(SystemExit):
    """This process is of a release that cannot work on what is there now."""


def stood_by() -> bool:
    """Whether this process stood by before it began: what its database has was not looked at when it started."""
    return _stood_by


def why() -> str:
    """Why this process only stands by; "" if it is at work."""
    return _why


def wait(name: str = "") -> None:
    """Return when PostgreSQL takes writes; at once where ERIP_AWAIT_PRIMARY is off. Raises Outdated where this
    process is of a release that cannot work on what is there by then.

    name: of the heartbeat file of this process (`alive`), which says that it is parked; "": it has none.
    """
    if not settings.ERIP_AWAIT_PRIMARY:
        return
    # What this process has loaded is what it will run, whatever files are in place when its turn comes.
    phases.known()
    # Nobody else has set a handler yet, and without one the first process of a container would not hear of it.
    with ends_when_told():
        _park(name)
    _watch()


def then(begin: Callable[[], object], end: Callable[[], object]) -> None:
    """Call `begin` when PostgreSQL takes writes: at once, and here, where ERIP_AWAIT_PRIMARY is off or it does so now;
    otherwise in a thread. `end`: what is called instead where this process is of a release that cannot work on what is
    there by then."""
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
        except Outdated:
            end()
            return
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
    while (no := primary.why_not(PATIENCE) or _outdated(primary, said)) is not None:
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
    if said and name:
        # It was not asked to do anything until now.
        pulse.polled()
        _renew(name)
    _why = ""


def _outdated(primary: Primary, said: str) -> str | None:
    """None: it may begin. Otherwise why it is not known. Raises Outdated where it must not."""
    if not said:
        return None
    try:
        lacks = primary.lacks(PATIENCE)
    except (psycopg2.Error, OSError) as error:
        return " ".join(in_words(error).split())[:200] or type(error).__name__
    if lacks:
        log.error("release_is_older", contracted=lacks)
        raise Outdated(
            f"While this process stood by, {', '.join(lacks)} took away what its release uses. It ends, so that what is"
            " installed now is started."
        )
    return None


def _renew(name: str) -> None:
    until = time.monotonic() + BEGINS_WITHIN

    def renew() -> None:
        try:
            alive.renew(name)
        except OSError as error:
            log.error("heartbeat_file_not_written", error=error)

    with _deaf():
        Service("beginning", renew, every=alive.EVERY, needed=lambda: time.monotonic() < until).start()


@contextmanager
def _deaf() -> Iterator[None]:
    """A thread that is started meanwhile takes no signal: that is for the one that waits for it, or has a handler."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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

    with _deaf():
        Service("turn", look, every=LOOK_EVERY, delay=True).start()
