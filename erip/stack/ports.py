"""Ports on loopback: the same from one start to the next, or as the user asked, or any that is free."""

import os
import socket
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
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def choose(name: str, remembered: Path) -> int:
    """The port for `name` (a key of `USUAL`), written down in `remembered`.

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
    for port in (known.get(name), USUAL[name]):
        if isinstance(port, int) and port and is_free(port):
            break
    else:
        port = any_free()
    if known.get(name) != port:
        write_json(remembered, {**known, name: port})
    return int(port)
