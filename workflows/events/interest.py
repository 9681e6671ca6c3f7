"""Which lifecycle events somebody wants: Note [Interest] in `workflows.store.outbox` relies on it.

"Somebody" is: an active webhook subscription, a stream that is open or was within the last minutes (a client that comes
back with its Last-Event-ID then finds what it missed), an enabled trigger, and the setting ERIP_EVENTS_ALWAYS_LOG.
"""

import os
import threading
from collections.abc import Callable, Iterable
from typing import Final

from erip.foundation.hooks import at_web_start, interest
from erip.foundation.process.background import database_service
from workflows.core import lifecycle
from workflows.core.patterns import any_matches
from workflows.events import active
from workflows.events.conf import conf
from workflows.events.models import Subscription
from workflows.events.store.streams import streamed_types
from workflows.store.outbox import Interest, learn_interest_by, set_interest

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


#: the sources in the event bus; each reads the database and gives patterns of types
SOURCES: tuple[Patterns, ...] = (_of_subscriptions, streamed_types, active.patterns, _of_settings)


def wanted_types() -> frozenset[str]:
    """The lifecycle events that somebody wants now."""
    patterns = {pattern for source in interest.all() for pattern in source()}
    return frozenset(kind for kind in lifecycle.TYPES if any_matches(patterns, kind))


def refresh() -> None:
    """Look now. Raises django.db.Error."""
    set_interest(Interest(wanted_types(), conf().partitions))


class _Reader:
    """Looks about once a second, from the first time that this process has something to announce."""

    def __init__(self) -> None:
        self._known = threading.Event()
        self._service = database_service("interest", self._read, every=EVERY, keeps=False, back_off=(EVERY, EVERY))

    def begin(self) -> None:
        self._service.start()
        if not self._known.wait(PATIENCE):
            # It is better to announce an event in vain than not at all.
            set_interest(Interest(lifecycle.TYPES, conf().partitions))

    def stop(self) -> None:
        """Stop looking, and know nothing until there is something to announce again."""
        self._service.stop()
        self._known.clear()
        set_interest(None)

    def forget(self) -> None:
        """Start afresh in a child process, where no thread reads yet."""
        self._known = threading.Event()

    def _read(self) -> None:
        refresh()
        self._known.set()


_reader = _Reader()


@at_web_start
def begin() -> None:
    """Keep this process informed of what is wanted, from now on."""
    _reader.begin()


def stop() -> None:
    _reader.stop()


learn_interest_by(_reader.begin)
os.register_at_fork(after_in_child=_reader.forget)
