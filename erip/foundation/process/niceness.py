"""Threads of one process that give way to others on the processor, and those that do not (Linux)."""

import os
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path


def give_way(by: int, *, but: Collection[int]) -> None:
    """Add `by` to the niceness of this process's threads, except those with these native ids; threads that they start
    later inherit it. Once given, niceness cannot be taken back without privileges. Elsewhere than on Linux, where
    threads have none of their own, nothing is done."""
    if by <= 0 or not sys.platform.startswith("linux"):
        return
    for thread in {int(task.name) for task in Path("/proc/self/task").iterdir()} - set(but):
        # One that has ended meanwhile.
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + by)
