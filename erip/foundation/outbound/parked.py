"""A process that may act on nobody: it reaches its database and its broker, and nothing else.

Note [Parked]
A drill runs the workers of a restored copy, whose runs would send the same webhooks, mails and calls once more. Code of
steps is anybody's, so no list of doors would hold. Python itself reports each connection, datagram, name that is looked
up, and program that is started, before it happens (PEP 578), whichever library does it, and a hook that raises prevents
it; a hook cannot be taken out again. What is refused is an error of the step, like an unreachable host.

It does not see what code in C does by itself: libpq, which reaches the database, and extensions of a site's own that
open sockets without Python. For those, run the drill on a host without a way out. Files are not kept from anybody.
"""

import sys
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import urlsplit

#: what reaches others, and where its address is among the arguments
_ADDRESSED: Final = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1}
_PROGRAMS: Final = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty.spawn"}
)
_NUMERIC: Final = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "", None)  # noqa: S104  # nosec B104 (asked for)


class ParkedError(ConnectionRefusedError):
    """This process is parked (ERIP_PARKED): it acts on nobody outside."""


def park(addresses: Collection[tuple[str, int]], paths: Collection[str] = ()) -> None:
    """From now on this process reaches these alone. addresses: hosts as they are named when connected to, and ports.
    paths: Unix sockets."""
    allowed, hosts = frozenset(addresses), frozenset(host for host, _ in addresses)
    sockets = frozenset(paths)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _ADDRESSED:
            address = arguments[_ADDRESSED[event]]
            if address is None:
                return  # sent on a connection that was made before
            if isinstance(address, tuple) and len(address) >= 2:
                if (address[0], address[1]) in allowed:
                    return
            elif address in sockets:
                return
            raise ParkedError(f"parked: nothing is sent to {address!r}")
        if event == "socket.getaddrinfo" and arguments[0] not in _NUMERIC and arguments[0] not in hosts:
            raise ParkedError(f"parked: {arguments[0]!r} is not looked up")
        if event in _PROGRAMS:
            raise ParkedError("parked: no program is started")

    sys.addaudithook(hook)


def brokers(url: str) -> tuple[set[tuple[str, int]], set[str]]:
    """The addresses and the Unix sockets in ERIP_BROKER_URL."""
    addresses, paths = set(), set()
    for one in url.split(";"):
        parts = urlsplit(one.strip())
        if parts.hostname:
            addresses.add((parts.hostname, parts.port or 6379))
        elif parts.path:
            paths.add(parts.path)
    return addresses, paths
