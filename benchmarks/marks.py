"""Notes when a run passes each place, in whatever process: for `benchmarks.where`, and only on request.

With ERIP_BENCHMARKS_MARKS=DIRECTORY each process appends `nanoseconds place` lines to a file of its own there, on the
monotonic clock, which the processes of one machine share. Nothing is wrapped without it.
"""

import functools
import inspect
import os
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

VARIABLE = "ERIP_BENCHMARKS_MARKS"

#: (where it is called by others, mark at its start, mark at its end), in the order in which a run passes them
PLACES: tuple[tuple[str, str | None, str | None], ...] = (
    ("erip.foundation.http.door:Door.__call__", "request received", "answer sent"),
    ("erip.foundation.http.light.app:_answer", "thread begins to answer", "answered"),
    ("erip.foundation.http.light.app:_caller", None, "key checked"),
    ("workflows.engine:start_runs", "body checked", None),
    ("workflows.store:start_run", "decided", "accepted"),
    ("workflows.starts.dispatch:hint", "committed", "published"),
    ("workflows.starts.handover:Inbox._received", "hand-over heard", None),
    ("workflows.worker.process:received", "message received", None),
    ("workflows.worker.process:WorkerProcess.take", "thread begins", None),
    ("workflows.store:claim", "claim asked", "claimed"),
    ("workflows.worker.bodies:run_sync", "body begins", "body ends"),
    ("workflows.store:apply", "outcome handed over", "outcome recorded"),
    ("workflows.api.ends:_Ends._wake", "end heard", None),
    ("workflows.api.wait:Wait.outcome", "waiting", None),
    ("workflows.api.wait:_finished", "reading the run", "run read"),
)


def install() -> None:
    """Wrap the places, if the environment asks for it. Called once, when the apps are ready."""
    directory = os.environ.get(VARIABLE)
    if not directory:
        return
    note = _Notes(Path(directory))
    for address, start, end in PLACES:
        module, _, path = address.partition(":")
        owner: Any = import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        setattr(owner, name, _wrapped(getattr(owner, name), note, start, end))


class _Notes:
    """Appends to a file of this process: a forked child opens its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: tuple[int, int] | None = None

    def __call__(self, place: str | None) -> None:
        if place is None:
            return
        now, pid = time.monotonic_ns(), os.getpid()
        if self._open is None or self._open[0] != pid:
            path = self._directory / str(pid)
            self._open = (pid, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        os.write(self._open[1], f"{now} {place}\n".encode())


def _wrapped(
    function: Callable[..., Any], note: Callable[[str | None], None], start: str | None, end: str | None
) -> Any:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waited(*args: Any, **kwargs: Any) -> Any:
            note(start)
            try:
                return await function(*args, **kwargs)
            finally:
                note(end)

        return waited

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        note(start)
        try:
            return function(*args, **kwargs)
        finally:
            note(end)

    return called
