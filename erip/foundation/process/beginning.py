"""When this process was started."""

import os
import time
from pathlib import Path

import psutil


def started_at() -> float:
    """Seconds since the epoch, by this machine's clock now, exact to a hundredth of a second.

    `psutil.Process.create_time` counts from the boot time, which the kernel tells in whole seconds: it is up to a
    second too early. Where there is no `/proc`, it is all there is.
    """
    try:
        # Behind the name of the program, which may hold anything, field 22 of proc(5) is the 20th.
        fields = Path("/proc/self/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        ago = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return psutil.Process().create_time()
    return time.time() - ago
