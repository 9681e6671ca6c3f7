"""Reference data cached in the process, and dropped when it changes.

Every area has a row in `library_referenceversion` whose token a database trigger renews with each statement that writes
to one of the area's tables, no matter who wrote it. A cached value carries the token it was read under. The tokens are
read again at most once every CHECK_SECONDS, in one query for all areas: an edit is seen by every process within that
time.
"""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar
from uuid import UUID

from cachetools import LRUCache, TTLCache

from workflows.library.models import ReferenceVersion

CHECK_SECONDS: Final = 1.0
T = TypeVar("T")

_lock = threading.Lock()
_values: LRUCache[Hashable, tuple[UUID | None, Any]] = LRUCache(maxsize=256)
_moments: TTLCache[Hashable, Any] = TTLCache(maxsize=64, ttl=CHECK_SECONDS)
_tokens: dict[str, UUID] = {}
_checked_at = float("-inf")


def cached(area: str, key: Hashable, load: Callable[[], T]) -> T:
    """The result of `load`, from the cache while the area has not changed. The value is shared: do not change it.

    Two threads may load the same value at once; both get a correct one.
    """
    # The token is read before the data: data newer than its token is loaded once more, never kept too long.
    token = _token(area)
    with _lock:
        found = _values.get((area, key))
    if found is not None and found[0] == token and token is not None:
        return found[1]  # type: ignore[no-any-return]
    value = load()
    with _lock:
        _values[(area, key)] = (token, value)
    return value


def of_this_second(key: Hashable, load: Callable[[], T]) -> T:
    """A result of `load` at most CHECK_SECONDS old: for figures over many rows, where one more row hardly matters."""
    with _lock:
        if key in _moments:
            return _moments[key]  # type: ignore[no-any-return]
    value = load()
    with _lock:
        _moments[key] = value
    return value


def token_of(area: str) -> UUID | None:
    """What stands for the area's state: another one after each change, at most CHECK_SECONDS old."""
    return _token(area)


def _token(area: str) -> UUID | None:
    global _tokens, _checked_at
    now = time.monotonic()
    if now - _checked_at >= CHECK_SECONDS:
        fresh = dict(ReferenceVersion.objects.values_list("area", "token"))
        with _lock:
            _tokens, _checked_at = fresh, now
    return _tokens.get(area)


def forget() -> None:
    """Look at the tokens again at the next use, and drop every value: for tests, and for a process that just wrote."""
    global _checked_at
    with _lock:
        _values.clear()
        _moments.clear()
        _checked_at = float("-inf")
