"""Asks the web process of this host how it is, over TLS: an orchestrator's probes have no certificate. Imports nothing
from Django.

    python -m erip.foundation.process.asking /health/ready      exit status 0: it answers 200; 1: anything else

It shows the web process that one's own certificate (ERIP_WEB_CERTIFICATE), which must be good for clients, too, and
believes the authority in ERIP_WEB_CLIENT_CA alone. Both are read anew each time. Without them it asks in the clear.
"""

import argparse
import os
import socket
import sys
from contextlib import ExitStack

from erip.foundation.os_errors import in_words
from erip.foundation.process.trust import context_of

#: bytes of `HTTP/1.1 200`
_STATUS = 12


def answers(path: str, *, port: int, name: str, seconds: float) -> bool:
    """Whether `path` is answered with 200 within `seconds` for each step. name: which the certificate must hold."""
    certificate, ca = os.environ.get("ERIP_WEB_CERTIFICATE"), os.environ.get("ERIP_WEB_CLIENT_CA")
    try:
        with ExitStack() as open_ones:
            link = open_ones.enter_context(socket.create_connection(("127.0.0.1", port), seconds))
            if certificate:
                link = open_ones.enter_context(context_of(ca, certificate).wrap_socket(link, server_hostname=name))
            link.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            said = b""
            while len(said) < _STATUS and (more := link.recv(_STATUS - len(said))):
                said += more
    except OSError as error:
        print(in_words(error, path), file=sys.stderr)
        return False
    if said[9:] != b"200":
        print(f"{path}: {said[9:].decode('ascii', 'replace') or 'no answer'}", file=sys.stderr)
    return said[9:] == b"200"


def main() -> int:
    """Exit status 0 or 1; 2 for bad arguments."""
    parser = argparse.ArgumentParser(prog="erip.foundation.process.asking")
    parser.add_argument("path")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--name", default="erip-web", help="the name in its certificate (erip-web)")
    parser.add_argument("--within", type=float, default=2.0, help="seconds for each step (2)")
    given = parser.parse_args()
    return 0 if answers(given.path, port=given.port, name=given.name, seconds=given.within) else 1


if __name__ == "__main__":
    sys.exit(main())
