"""A port is held from the moment it is chosen, so that of two stacks that start together each has its own.

Between the choice of a port and the server's `listen` nobody can see that the port is taken, and that may be seconds: a
database is brought up to date first. So a process that chooses a port binds a Unix socket of the port's name in Linux's
abstract namespace. The kernel gives a name to one process only, takes it back when that process ends, however it ends,
and keeps one set of names for each network namespace, as it does with ports. A process may use what an ancestor of it
holds: a test chooses a port, and the stack that it starts listens there.

On other systems nothing is held, and a port is only looked at.
"""

import os
import re
import socket
import sys
from pathlib import Path

import psutil

#: by port: the name that makes it ours, and the one that says whose it is
_HELD: dict[int, tuple[socket.socket, socket.socket]] = {}
#: the kernel's list of all names in use
_NAMES = Path("/proc/net/unix")


def hold(port: int) -> bool:
    """Hold `port` for as long as this process lives; False when another process, or this one, holds it already."""
    if port in _HELD:
        return False
    if sys.platform != "linux":
        return True
    mark, owner = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    try:
        mark.bind(_name(port))
        owner.bind(f"{_name(port)}-of-{os.getpid()}")
    except OSError:
        mark.close()
        owner.close()
        return False
    _HELD[port] = (mark, owner)
    return True


def release(port: int) -> None:
    """Let go of a port that this process holds. One that it does not hold is left alone."""
    for mark in _HELD.pop(port, ()):
        mark.close()


def is_ours(port: int) -> bool:
    """Whether this process holds `port`, or one that it descends from."""
    if port in _HELD:
        return True
    holder = _holder(port)
    return holder is not None and holder in (os.getpid(), *(parent.pid for parent in psutil.Process().parents()))


def _holder(port: int) -> int | None:
    """The process that holds it. It is read from the list of names: nobody has to answer, however often it is asked."""
    try:
        names = _NAMES.read_text("utf-8", "replace")
    except OSError:
        return None
    found = re.search(rf"@{_name(port)[1:]}-of-(\d+)$", names, re.MULTILINE)
    return int(found.group(1)) if found else None


def _name(port: int) -> str:
    return f"\0erip-port-{port}"
