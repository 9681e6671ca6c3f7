"""When a request is sent again, and after which pause.

Note [Repeating requests]
A request is repeated only if that can do no harm: reads, PUT and DELETE by their nature; events because ERIP recognises
them by source and id; every other POST and PATCH because the client sends an Idempotency-Key with it, the same at each
attempt. What was refused for a moment (429, 503, 408, 409 "under way") did not happen at all. `Retry-After` is
honoured; where it asks for more than the patience that is left, the error is raised at once, not after a wait in vain.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from .answers import may_help_to_repeat
from .calls.base import Call
from .errors import EripError, NotFound, Refused, Unreachable

#: called before each pause: what went wrong, and the pause in seconds
OnRetry = Callable[[EripError, float], None]

FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 5.0


@dataclass(slots=True)
class Attempts:
    """The attempts of one call. patience: seconds from the first failure to the last attempt."""

    call: Call[Any]
    patience: float
    on_retry: OnRetry | None = None
    clock: Callable[[], float] = time.monotonic
    _failed: int = field(default=0, init=False)
    _until: float = field(default=0.0, init=False)
    _lost: bool = field(default=False, init=False)

    def pause_after(self, error: EripError) -> float:
        """Seconds until the next attempt. Raises `error` if there is none."""
        now = self.clock()
        if not self._failed:
            self._until = now + self.patience
        self._failed += 1
        lost = isinstance(error, Unreachable) and error.may_have_happened
        self._lost |= lost
        if not may_help_to_repeat(error) or (lost and not self.call.repeatable):
            raise error
        said = error.retry_after if isinstance(error, Refused) else None
        pause = said if said is not None else self._backoff()
        if now + pause > self._until:
            raise error
        if self.on_retry is not None:
            self.on_retry(error, pause)
        return pause

    def is_done_already(self, error: EripError) -> bool:
        """A repeated DELETE finds nothing: the attempt whose answer was lost has deleted it."""
        return self._lost and self.call.method == "DELETE" and isinstance(error, NotFound)

    def _backoff(self) -> float:
        """Doubled each time, and anywhere in its upper half: clients that failed together do not come back together."""
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failed - 1, 20))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311
