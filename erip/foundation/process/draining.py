"""Whether this process has been asked to end and only finishes what it has begun. It is set once and never reset."""

import threading
from collections.abc import Callable

_begun = threading.Event()
_followed = threading.Event()
_lock = threading.Lock()
_told: list[Callable[[], None]] = []


def begin(*, followed: bool = False) -> None:
    """From now on this process is draining: nobody is kept waiting, and `/health/ready` says so, unless another process
    serves at the same address (`followed`): who asks there asks either of them."""
    with _lock:
        if followed:
            _followed.set()
        _begun.set()
        told = list(_told)
    for one in told:
        one()


def begun() -> bool:
    return _begun.is_set()


def followed() -> bool:
    """Whether it is draining, and another process serves at its address."""
    return _begun.is_set() and _followed.is_set()


def when_begun(tell: Callable[[], None]) -> None:
    """Call `tell`, which returns quickly and raises nothing, once draining has begun."""
    with _lock:
        _told.append(tell)


def forget() -> None:
    """For tests: this process goes on."""
    _begun.clear()
    _followed.clear()
