"""Ports on loopback: the same from one start to the next, or as the user asked, or any that is free.

Each is held from the moment it is chosen (`holds`).
"""

import os
import random
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from erip.ops.stack.errors import PortTaken, StackError
from erip.ops.stack.holds import hold, is_ours
from erip.ops.stack.state import read_json, write_json

LOOPBACK = "127.0.0.1"
# The ports that a user expects to type; 0: none is usual, any free port will do.
USUAL = {"web": 8000, "flower": 5555, "postgres": 0, "redis": 0}


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now. Connections that are closing do not count as taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def any_free() -> int:
    """A port that nobody listens on and nobody else holds; held by this process from now on.

    It lies outside the range from which the kernel takes ports for connections: otherwise a connection may sit on a
    server's port just when that server is to be started again.
    """
    return next(_free_ports(()))


def choose(name: str, remembered: Path) -> int:
    """The port for `name`, written down in `remembered`. ERIP_<NAME>_PORT asks for one; 0 stands for any free one.

    Raises PortTaken when the port that was asked for is in use, or held by another stack.
    """
    variable = f"ERIP_{name.upper()}_PORT"
    asked = os.environ.get(variable, "")
    if asked and asked != "0":
        if not asked.isdigit() or not 0 < int(asked) < 65536:
            raise StackError(f"{variable} is not a port number: {asked!r}.")
        if not _take(int(asked)):
            raise PortTaken(f"Port {asked} ({variable}) is taken by another program: free it, or set another.")
        return int(asked)
    known = read_json(remembered)
    usual = 0 if asked else USUAL.get(name, 0)
    for port in (known.get(name), usual):
        if isinstance(port, int) and port and _take(port):
            break
    else:
        port = any_free()
    if known.get(name) != port:
        write_json(remembered, {**known, name: port})
    return int(port)


def choose_lasting(names: Iterable[str], remembered: Path) -> dict[str, int]:
    """A port for each of `names`, kept for good: clusters know their members by port.

    Raises PortTaken when another program has a port that was kept.
    """
    known = read_json(remembered)
    chosen = {name: int(known[name]) for name in names if name in known}
    for name, port in chosen.items():
        if not _take(port):
            raise PortTaken(
                f"Port {port}, which {name} has had since the first start, is taken by another program: free it, or "
                "start afresh with another ERIP_STATE_DIR."
            )
    free = _free_ports(known.values())
    chosen |= {name: next(free) for name in names if name not in chosen}
    write_json(remembered, {**known, **chosen})
    return chosen


def _take(port: int) -> bool:
    """Whether it is free, and held by this process or an ancestor from now on."""
    return is_free(port) and (hold(port) or is_ours(port))


def _free_ports(but: Iterable[object]) -> Iterator[int]:
    """Each held when it is handed out, in no order that another start would follow too."""
    candidates = list(set(range(10_000, _lowest_of_connections())).difference(port for port in but if port))
    random.shuffle(candidates)
    return (port for port in candidates if is_free(port) and hold(port))


def _lowest_of_connections() -> int:
    try:
        return max(20_000, int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]))
    except (OSError, ValueError):
        return 32_768
