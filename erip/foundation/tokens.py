"""A value cached in the process for as long as a token in the database is unchanged.

The token is read at most once in `every` seconds, in one small query; the value is loaded anew when the token changed.
So a change is seen by every process within that time, and an unchanged value costs nothing.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class Tokened(Generic[Value]):
    """Any thread. The value is shared: do not change it.

    token: reads the token from the database; load: makes the value, from the database.
    outage: whether an error of either means that the value known so far is good enough for the moment.
    """

    def __init__(
        self,
        token: Callable[[], Any],
        load: Callable[[], Value],
        *,
        every: float = 1.0,
        outage: Callable[[BaseException], bool] = lambda error: False,
    ) -> None:
        self._read_token = token
        self._load = load
        self._every = every
        self._outage = outage
        self._lock = threading.Lock()
        self._token: Any = None
        self._value: Value | None = None
        self._checked_at = float("-inf")

    def current(self) -> Value:
        """The value, as of `every` seconds ago at the most. Raises what reading it raises."""
        value = self._value
        if value is not None and time.monotonic() - self._checked_at < self._every:
            return value
        with self._lock:
            try:
                # The token is read before the value: what is newer than its token is loaded once more, never kept
                # too long.
                token = self._read_token()
                if token != self._token or self._value is None:
                    self._value, self._token = self._load(), token
            except Exception as error:
                if self._value is None or self._token is None or not self._outage(error):
                    raise
            self._checked_at = time.monotonic()
            assert self._value is not None
            return self._value

    def look_again(self) -> None:
        """Read the token at the next use. Where it is unchanged, the value is kept."""
        with self._lock:
            self._checked_at = float("-inf")

    def forget(self) -> None:
        """Read again at the next use: for tests, and for a process that just changed something."""
        with self._lock:
            self._token, self._checked_at = None, float("-inf")
