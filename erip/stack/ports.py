"""Ports on loopback: the same from one start to the next, or as the user asked, or any that is free."""

import os
import random
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import PortTaken, StackError
from .state import read_json, write_json

LOOPBACK = "127.0.0.1"
# What a user expects to type; 0 = no custom, any free port.
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
    """A port that nobody listens on.

    Outside the range from which the kernel takes ports for connections: otherwise a connection may sit on a server's
    port just when that server is to be started again.
    """
    return next(_free_ports(()))


def choose(name: str, remembered: Path) -> int:
    """The port for `name`, written down in `remembered`.

    Raises PortTaken when ERIP_<NAME>_PORT asks for one that is in use.
    """
    variable = f"ERIP_{name.upper()}_PORT"
    if asked := os.environ.get(variable):
        if not asked.isdigit() or not 0 < int(asked) < 65536:
            raise StackError(f"{variable} is not a port number: {asked!r}.")
        if not is_free(int(asked)):
            raise PortTaken(f"Port {asked} ({variable}) is taken by another program: free it, or set another.")
        return int(asked)
    known = read_json(remembered)
    for port in (known.get(name), USUAL.get(name, 0)):
        if isinstance(port, int) and port and is_free(port):
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
        if not is_free(port):
            raise PortTaken(
                f"Port {port}, which {name} has had since the first start, is taken by another program: free it, or "
                "start afresh with another ERIP_STATE_DIR."
            )
    free = _free_ports(known.values())
    chosen |= {name: next(free) for name in names if name not in chosen}
    write_json(remembered, {**known, **chosen})
    return chosen


def _free_ports(but: Iterable[object]) -> Iterator[int]:
    """In no order that another start would follow too."""
    candidates = list(set(range(10_000, _lowest_of_connections())).difference(port for port in but if port))
    random.shuffle(candidates)
    return (port for port in candidates if is_free(port))


def _lowest_of_connections() -> int:
    try:
        return max(20_000, int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]))
    except (OSError, ValueError):
        return 32_768
