"""Consumers notify the streams that the log has grown: once for each round, while anybody listens."""

import time
from collections.abc import Sequence
from typing import Final

from workflows.events.effects import AfterCommit, LoggedEvent, Round
from workflows.events.store import streams

#: seconds for which it trusts what it read about listeners, and after which a silent listener counts as gone
TRUSTED: Final = 1.0
SILENT: Final = 60.0


class StreamsEffect:
    """Notifies the streams. Writes nothing."""

    name = "streams"

    def __init__(self) -> None:
        self._read_at: float | None = None
        self._anybody = False

    def apply(self, round: Round) -> AfterCommit | None:
        now = time.monotonic()
        if self._read_at is None or now - self._read_at > TRUSTED:
            self._anybody = streams.anybody_listens(within=SILENT)
            self._read_at = now
        return streams.announce if self._anybody else None

    def plan(self, target: str, events: Sequence[LoggedEvent]) -> dict[str, int]:
        """Streams have no replays: a client reads the log from any position."""
        raise LookupError("streams are not replayed to: connect with the Last-Event-ID to begin at")
