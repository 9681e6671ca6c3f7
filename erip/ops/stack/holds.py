"""A port is held from the moment it is chosen, so that of two stacks that start together each has its own.

Between the choice of a port and the server's `listen` nobody can see that the port is taken, and that may be seconds: a
database is brought up to date first. So whoever chooses a port binds a Unix socket of the port's name in Linux's
abstract namespace. The kernel gives a name to one process only, takes it back when that process ends, however it ends,
and keeps one set of names for each network namespace, as it does with ports. A process may use what an ancestor of it
holds: a test chooses a port, and the stack that it starts listens there.

On other systems nothing is held, and a port is only looked at.
"""

import os
import socket
import struct
import sys

import psutil

_HELD: dict[int, socket.socket] = {}


def hold(port: int) -> bool:
    """Hold `port` for as long as this process lives; False when another process, or this one, holds it already."""
    if port in _HELD:
        return False
    if sys.platform != "linux":
        return True
    mark = socket.socket(socket.AF_UNIX)
    try:
        mark.bind(_name(port))
    except OSError:
        mark.close()
        return False
    mark.listen(1)
    _HELD[port] = mark
    return True


def release(port: int) -> None:
    """Let go of a port that this process holds. One that it does not hold is left alone."""
    if mark := _HELD.pop(port, None):
        mark.close()


def is_ours(port: int) -> bool:
    """Whether this process holds `port`, or one that it descends from."""
    if port in _HELD:
        return True
    holder = _holder(port)
    return holder is not None and holder in (os.getpid(), *(parent.pid for parent in psutil.Process().parents()))


def _holder(port: int) -> int | None:
    """The process that holds it, by the kernel's word."""
    if sys.platform != "linux":
        return None
    with socket.socket(socket.AF_UNIX) as asking:
        asking.setblocking(False)
        try:
            asking.connect(_name(port))
            credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return None
    return int(struct.unpack("3i", credentials)[0])


def _name(port: int) -> str:
    return f"\0erip-port-{port}"
