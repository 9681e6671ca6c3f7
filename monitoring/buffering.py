"""Errors that no row says anything about: those of requests, of runs that failed without an attempt, and of alerts that
no receiver took. They are added up in this process, and go to their groups every ten seconds.

Nothing of a request is kept but its method, the pattern of its path and its id: no body, no query, no local variable.
What an exception says is kept only where a log may contain it (Note [No data in logs] in `erip.foundation.logs`).
"""

import atexit
import os
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from cachetools import LRUCache
from django.core.signals import got_request_exception
from django.db import Error as DatabaseError

from erip.foundation import hooks
from erip.foundation.logs import summary
from erip.foundation.process.background import database_service
from erip.foundation.service import once
from monitoring import error_counters, store
from monitoring.conf import conf
from monitoring.core.fingerprints import Error, Kind, Source, kind_of
from monitoring.core.groups import Definition, Link, Tallies
from monitoring.reporting import may_wait

log = structlog.get_logger(__name__)

#: seconds between two times that they go to their groups
EVERY: Final = 10.0
#: innermost frames of each exception that are read
FRAMES: Final = 40
#: seconds that the end of a process waits for the last ones to be stored
FAREWELL: Final = 1.0

#: an error by where it was raised and what it says
_Known = tuple[type[BaseException], str, tuple[tuple[str, int], ...]]


class Buffer:
    """Adds errors up until they are taken. Its size is bounded. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tallies = Tallies()
        #: reading a traceback takes a hundred times as long as knowing it again
        self._kinds: LRUCache[_Known, Kind] = LRUCache(maxsize=500)

    def __len__(self) -> int:
        return len(self._tallies)

    def add(
        self,
        kind: Kind,
        at: datetime,
        link: Link | None = None,
        *,
        count: int = 1,
        definition: Definition | None = None,
    ) -> None:
        with self._lock:
            links = [link] if link is not None else None
            self._tallies.add(kind, at, count=count, links=links, definition=definition)

    def add_raised(self, error: BaseException, *, what: str, link: Link) -> None:
        """An error that a request ended with."""
        said = _said(error)
        known = (type(error), said, _places(error))
        with self._lock:
            kind = self._kinds.get(known)
        if kind is None:
            kind = kind_of(Error(Source.REQUEST, what, "", type(error).__name__, said, _formatted(error), texts=False))
            with self._lock:
                self._kinds[known] = kind
        self.add(kind, link.at, link)

    def take(self) -> Tallies:
        """What was added up since the last time."""
        with self._lock:
            taken, self._tallies = self._tallies, Tallies()
        return taken

    def put_back(self, taken: Tallies) -> None:
        """It could not be stored."""
        with self._lock:
            taken.merge(self._tallies)
            self._tallies = taken


buffer = Buffer()


def flush() -> None:
    """Store what was added up. Raises django.db.Error; then nothing is lost."""
    taken = buffer.take()
    try:
        kept = store.keep_errors(taken, release=conf().release)
    except BaseException:
        buffer.put_back(taken)
        raise
    error_counters.count(kept)


_service = database_service(
    "errors",
    flush,
    keeps=False,
    every=EVERY,
    delay=True,
    back_off=(EVERY, 60.0),
    expected=may_wait,
    needed=lambda: len(buffer) > 0,
)


def add(error: Error, link: Link) -> None:
    """Count an error that no row says anything about. Never raises."""
    try:
        buffer.add(kind_of(error), link.at, link)
        _service.start()
    except Exception:
        log.exception("error_not_counted")


def add_request(error: BaseException, asked: str) -> None:
    """Count an error that a request ended with. asked: the method and the pattern of the path. Never raises."""
    try:
        number = str(structlog.contextvars.get_contextvars().get("request_id", ""))[:100]
        link = Link("request", number, datetime.now(UTC), asked[:200])
        buffer.add_raised(error, what="requests", link=link)
        _service.start()
    except Exception:
        log.exception("error_not_counted")


def add_run(failure: hooks.RunFailure) -> None:
    """Count a failure in a run that no attempt of a step explains. Never raises."""
    try:
        what = f"{failure.workflow}.{failure.step}" if failure.step else failure.workflow
        kind = kind_of(Error(Source.RUN, what, failure.code, "", failure.message))
        at = datetime.now(UTC)
        number = _number(failure.version_id)
        buffer.add(
            kind,
            at,
            Link("run", failure.run_id, at, failure.step),
            count=failure.count,
            definition=Definition(failure.workflow, number) if number else None,
        )
        _service.start()
    except Exception:
        log.exception("error_not_counted")


def _number(version_id: int) -> int | None:
    """Of a version of a workflow; None: it cannot be read now."""
    number = _numbers.get(version_id)
    if number is None:
        try:
            number = store.version_number(version_id)
        except DatabaseError:
            return None
        if number is not None:
            _numbers[version_id] = number
    return number


_numbers: LRUCache[int, int] = LRUCache(maxsize=2_000)


def _of_django(request: Any = None, **_: Any) -> None:
    error = sys.exc_info()[1]
    if error is None or request is None:
        return
    match = getattr(request, "resolver_match", None)
    route = f"/{match.route}" if match is not None else "(no route)"
    add_request(error, f"{request.method} {route}")


def listen() -> None:
    """Count the errors of this process's requests from now on."""
    got_request_exception.connect(_of_django, dispatch_uid="monitoring.errors")
    if add_request not in hooks.request_failed.all():
        hooks.request_failed(add_request)


def hear_of_runs() -> None:
    """Count what fails in runs without an attempt, as this process records it, from now on."""
    if add_run not in hooks.run_failed.all():
        hooks.run_failed(add_run)


def begin() -> None:
    """Store what is left when this process ends in good order."""
    mine = os.getpid()

    def leave() -> None:
        # A child that was forked later inherits this, and is not the process that ends.
        if os.getpid() == mine and len(buffer):
            _service.stop(0)
            try:
                once("last-errors", flush).join(FAREWELL)
            except RuntimeError:
                # Python starts no thread any more.
                log.warning("errors_not_stored", kinds=len(buffer))

    atexit.register(leave)


def _said(error: BaseException) -> str:
    try:
        return summary(error).removeprefix(type(error).__name__).lstrip(": ")
    except Exception:  # what it says of itself is anybody's code
        return ""


def _formatted(error: BaseException) -> str:
    try:
        told = traceback.TracebackException(type(error), error, error.__traceback__, limit=-FRAMES, compact=True)
        return "".join(told.format())
    except Exception:
        return ""


def _places(error: BaseException) -> tuple[tuple[str, int], ...]:
    """Where each call of the traceback, and of its causes, was."""
    found: list[tuple[str, int]] = []
    each: BaseException | None = error
    for _ in range(5):
        if each is None:
            break
        trace = each.__traceback__
        while trace is not None and len(found) < 400:
            found.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
            trace = trace.tb_next
        found.append((type(each).__name__, 0))
        each = each.__cause__ or each.__context__
    return tuple(found)
