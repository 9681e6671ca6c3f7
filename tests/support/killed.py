"""A consumer that an event kills: `python -m tests.support.killed TYPE` is ended by the first event of that type."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any


class Killer:
    """An effect that an event kills the process with, as the kernel does when memory runs out."""

    name = "killer"

    def __init__(self, type_: str) -> None:
        self._type = type_

    def apply(self, round: Any) -> None:
        if any(event.type == self._type for event in round.events):
            os.kill(os.getpid(), signal.SIGKILL)

    def plan(self, target: str, events: Sequence[Any]) -> dict[str, int]:
        return {}


def main() -> None:
    import django

    django.setup()
    from tests.support.events import new_worker
    from workflows.events.consumer import Consumer

    ended = signal.sigwait if hasattr(signal, "sigwait") else None
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    consumer = Consumer(new_worker(), [Killer(sys.argv[1])]).start()
    assert ended is not None
    ended({signal.SIGTERM})
    consumer.stop()


if __name__ == "__main__":
    main()
