"""CPU time and memory of the whole service: every process and server under the supervisor of a private stack."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """Since the processes began."""

    #: seconds, user and system
    cpu: float
    #: the same by the name of the process
    cpu_by_name: dict[str, float]
    #: the most memory that each worker process ever had, in bytes, by name
    peak: dict[str, int]


def usage(supervisor: int, names: dict[int, str]) -> Usage:
    """Of the supervisor and its descendants. `names`: the processes that it started; their descendants count as theirs.

    A process that ended counts as its parent's: the parent's `children_*` times grow when it is reaped. So short-lived
    server processes are not lost, and none is counted twice.
    """
    root = psutil.Process(supervisor)
    by_name: dict[str, float] = {}
    peak: dict[str, int] = {}
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            name = _name(process, names, supervisor)
            times = process.cpu_times()
            spent = times.user + times.system + times.children_user + times.children_system
            by_name[name] = by_name.get(name, 0.0) + spent
            if process.pid in names:
                peak[name] = _peak(process)
    return Usage(sum(by_name.values()), by_name, peak)


def spent(before: Usage, after: Usage) -> dict[str, float]:
    """CPU seconds between two readings, by name, largest first."""
    grown = {name: after.cpu_by_name[name] - before.cpu_by_name.get(name, 0.0) for name in after.cpu_by_name}
    return dict(sorted(grown.items(), key=lambda item: -item[1]))


def _name(process: psutil.Process, names: dict[int, str], supervisor: int) -> str:
    above: psutil.Process | None = process
    while above is not None and above.pid != supervisor:
        if above.pid in names:
            return names[above.pid]
        above = above.parent()
    return "supervisor"


def _peak(process: psutil.Process) -> int:
    """The kernel's own high-water mark, which misses nothing; where there is none, what it has now."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    return int(process.memory_info().rss)
