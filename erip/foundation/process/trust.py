"""Our side of TLS as a client: 1.3 alone, to a server of a known authority, with a certificate of our own.

A context is kept as long as its files are the same, because making one takes up to 24 ms of a processor (measured, with
the system's authorities). So a certificate that was renewed is used from the next connection on.
"""

import ssl
from pathlib import Path

#: by the paths; with what the files were when it was made
_contexts: dict[tuple[str, ...], tuple[tuple[object, ...], ssl.SSLContext]] = {}


def context_of(ca: str | None, certificate: str | None, key: str | None = None) -> ssl.SSLContext:
    """A client's. PEM files that cannot be read any more count as they were. Raises OSError if they never could be.

    ca: the only authority that is trusted; None for the system's. key: None if `certificate` holds it, too.
    """
    paths = (ca or "", certificate or "", key or "")
    known = _contexts.get(paths)
    try:
        state = tuple(_state(path) for path in paths if path)
        if known is None or known[0] != state:
            known = _contexts[paths] = state, _make(ca, certificate, key)
    except OSError:  # ssl.SSLError is one
        if known is None:
            raise
    return known[1]


def _make(ca: str | None, certificate: str | None, key: str | None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    if ca:
        made.load_verify_locations(ca)
    else:
        made.load_default_certs()
    if certificate:
        made.load_cert_chain(certificate, key)
    return made


def _state(path: str) -> tuple[int, int, int]:
    found = Path(path).stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
