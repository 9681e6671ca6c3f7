"""Which lifecycle events somebody wants: what Note [Interest] in `workflows.store.outbox` takes for granted.

Somebody is: an active webhook subscription, a stream that is open or was within the last minutes (whoever comes back
with its Last-Event-ID then finds what it missed), an enabled trigger, and the setting ERIP_EVENTS_ALWAYS_LOG.
"""

import os
import threading
from collections.abc import Callable, Iterable
from typing import Final

import structlog
from django.db import Error, connection

from workflows.core import lifecycle
from workflows.core.patterns import any_matches
from workflows.events import active
from workflows.events.conf import conf
from workflows.events.models import Subscription
from workflows.events.store.streams import streamed_types
from workflows.store.outbox import Interest, learn_interest_by, set_interest

log = structlog.get_logger(__name__)

#: seconds between two looks
EVERY: Final = 1.0
#: seconds that a process which knows nothing yet waits for its first look
PATIENCE: Final = 5.0

Patterns = Callable[[], Iterable[str]]


def _of_subscriptions() -> Iterable[str]:
    return {
        pattern
        for types in Subscription.objects.filter(enabled=True).values_list("types", flat=True)
        for pattern in types
    }


def _of_settings() -> Iterable[str]:
    return conf().always_log


#: each gives patterns of types; they read the database
SOURCES: tuple[Patterns, ...] = (_of_subscriptions, streamed_types, active.patterns, _of_settings)


def wanted_types() -> frozenset[str]:
    """The lifecycle events that somebody wants now."""
    patterns = {pattern for source in SOURCES for pattern in source()}
    return frozenset(kind for kind in lifecycle.TYPES if any_matches(patterns, kind))


def refresh() -> None:
    """Look now. Raises django.db.Error."""
    set_interest(Interest(wanted_types(), conf().partitions))


class _Reader:
    """Looks about once a second, in a thread of its own, from when this process first has something to tell."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._known = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        with self._lock:
            if self._thread is None:
                self._stop.clear()
                self._known.clear()
                self._thread = threading.Thread(target=self._read, name="interest", daemon=True)
                self._thread.start()
        if not self._known.wait(PATIENCE):
            # Better told in vain than not at all.
            set_interest(Interest(lifecycle.TYPES, conf().partitions))

    def stop(self) -> None:
        """Know nothing any more, until there is something to tell again."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._stop.set()
        if thread is not None:
            thread.join(timeout=5)
        set_interest(None)

    def _read(self) -> None:
        while True:
            try:
                refresh()
                self._known.set()
            except Error as error:
                log.warning("interest_unread", error=str(error).strip())
            finally:
                # Back to the pool: it is needed for a millisecond in each second.
                connection.close()
            if self._stop.wait(EVERY):
                return


_reader = _Reader()


def begin() -> None:
    """Have this process know what is wanted, from now on."""
    _reader.begin()


def stop() -> None:
    _reader.stop()


def _forked() -> None:
    global _reader
    _reader = _Reader()


learn_interest_by(lambda: _reader.begin())
os.register_at_fork(after_in_child=_forked)
