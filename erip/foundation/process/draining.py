"""Whether this process has been asked to end and only finishes what it has begun. It is set once and never reset."""

import threading
from collections.abc import Callable

_begun = threading.Event()
_lock = threading.Lock()
_told: list[Callable[[], None]] = []


def begin() -> None:
    """From now on this process is draining: `/health/ready` says so, and nobody is kept waiting."""
    with _lock:
        _begun.set()
        told = list(_told)
    for one in told:
        one()


def begun() -> bool:
    return _begun.is_set()


def when_begun(tell: Callable[[], None]) -> None:
    """Call `tell`, which returns quickly and raises nothing, once draining has begun."""
    with _lock:
        _told.append(tell)


def forget() -> None:
    """For tests: this process goes on."""
    _begun.clear()
