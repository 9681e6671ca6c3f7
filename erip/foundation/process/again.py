"""SIGHUP to a worker: it ends in good order, and begins again as the same process.

Note [Beginning again]
Celery replaces the process in an exit handler that it registers when the signal comes. Exit handlers run in the reverse
order, so it would be the first, and no other would run: what a process says at its end, of the errors that it has not
stored and of itself, would be lost. Ours is registered before theirs, and so runs last.
"""

import atexit
import os
import sys
import threading
from typing import Any

from celery import bootsteps, platforms
from celery.worker import state

_again = threading.Event()


class Again(bootsteps.StartStopStep):
    """Takes the place of Celery's handler of SIGHUP, once that is there."""

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        # Steps are made before any app begins its part of the process.
        atexit.register(replace)

    def start(self, worker: Any) -> None:
        # In a terminal Celery leaves SIGHUP alone, which ends it, and macOS cannot replace a process with threads.
        if not getattr(worker, "_isatty", False) and not worker.app.IS_macOS:
            platforms.signals["SIGHUP"] = _asked


def _asked(*_: object) -> None:
    _again.set()
    state.should_stop = 0


def replace() -> None:
    """Begin again if this worker was asked to, and do not return then."""
    if _again.is_set():
        platforms.close_open_fds([sys.__stdin__, sys.__stdout__, sys.__stderr__])
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606  # nosec B606 (as it was called)
