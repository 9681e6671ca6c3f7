"""Whether a server answers at a port. A probe sends data: the kernel accepts connections for frozen processes too."""

import http.client
import socket
import ssl
from contextlib import closing
from enum import StrEnum

from erip.ops.guard.configuration import Address
from erip.ops.guard.etcd import Tls

# GSSENCRequest of PostgreSQL: 8 bytes, code 80877104. The child of the postmaster answers one byte, before a login.
# An SSLRequest does too, but where there is TLS the server logs each that is not followed by a handshake.
_REQUEST = bytes.fromhex("0000000804d21630")


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
            connection.sendall(_REQUEST)
            return Reach.ANSWERS if connection.recv(1) else Reach.REFUSED
    except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
        return Reach.REFUSED
    except OSError:
        return Reach.SILENT


def patroni(address: Address, *, timeout: float, tls: Tls | None = None) -> Reach:
    """Patroni's REST interface; whatever it says is an answer.

    With TLS a handshake is one: the thread that would answer does it. That the other side does not trust our
    certificate, or we not its own, is an answer too: certificates that are over must not look like a dead node.
    """
    try:
        with closing(_connection(address, timeout, tls)) as connection:
            connection.connect()
            if tls is None:
                connection.request("GET", "/liveness")
                connection.getresponse().read()
            return Reach.ANSWERS
    except (ConnectionRefusedError, ConnectionResetError, BrokenPipeError, http.client.HTTPException):
        return Reach.REFUSED
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return Reach.REFUSED
    except ssl.SSLError:
        return Reach.ANSWERS
    except OSError:
        return Reach.SILENT


def _connection(address: Address, timeout: float, tls: Tls | None) -> http.client.HTTPConnection:
    if tls is None:
        return http.client.HTTPConnection(*address, timeout=timeout)
    return http.client.HTTPSConnection(*address, timeout=timeout, context=tls.context())
