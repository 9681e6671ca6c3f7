"""The leader's duty for triggers: windows that have closed are forgotten."""

import time

from erip.foundation.hooks import leader_duty
from workflows.events.store import triggers as store

#: seconds between two looks
EVERY = 600.0


class Sweeper:
    """One per leader; `sweep` is called in each of its rounds."""

    def __init__(self) -> None:
        self._at = 0.0

    def sweep(self) -> None:
        """Forget the cases whose windows have closed."""
        if time.monotonic() >= self._at:
            self._at = time.monotonic() + EVERY
            store.forget_closed_windows()


leader_duty(Sweeper().sweep)
