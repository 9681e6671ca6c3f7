"""Whether a server answers at a port. A probe sends data: the kernel accepts connections for frozen processes too."""

import http.client
import socket
from contextlib import closing
from enum import StrEnum

from erip.ops.guard.configuration import Address

# SSLRequest of PostgreSQL's protocol: 8 bytes, code 80877103. The postmaster's child answers one byte, before a login.
_SSL_REQUEST = bytes.fromhex("0000000804d2162f")


class Reach(StrEnum):
    """What came back."""

    ANSWERS = "answers"
    REFUSED = "refused"  # the host says that nobody listens
    SILENT = "silent"  # nothing: frozen, or the host is away


def postgres(address: Address, *, timeout: float) -> Reach:
    """The postmaster."""
    try:
        with socket.create_connection(address, timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(_SSL_REQUEST)
            return Reach.ANSWERS if connection.recv(1) else Reach.REFUSED
    except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
        return Reach.REFUSED
    except OSError:
        return Reach.SILENT


def patroni(address: Address, *, timeout: float) -> Reach:
    """Patroni's REST interface; whatever it says is an answer."""
    try:
        with closing(http.client.HTTPConnection(*address, timeout=timeout)) as connection:
            connection.request("GET", "/liveness")
            connection.getresponse().read()
            return Reach.ANSWERS
    except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError, http.client.HTTPException):
        return Reach.REFUSED
    except OSError:
        return Reach.SILENT
