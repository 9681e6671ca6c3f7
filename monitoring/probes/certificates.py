"""Certificates, in files and of TLS servers: days until they expire. Looked at once a minute.

A server that does not answer is another probe's trouble: its certificate is known from before, for an hour.
"""

import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from monitoring.core.components import State
from monitoring.probes import PATIENCE, Finding, Unanswered

_EVERY = 60.0
#: days before the end at which it is time
_SOON = 14
#: seconds for which the certificate of a server that does not answer is known, and for one server and all of them
_KNOWN_FOR, _ONE_WITHIN, _ALL_WITHIN = 3600.0, 1.0, 3 * PATIENCE
#: in front of `host:port`: TLS begins after a question in PostgreSQL's protocol
_POSTGRES = "postgres://"
#: SSLRequest, and what a server with TLS says to it
_QUESTION, _YES = bytes((0, 0, 0, 8, 4, 210, 22, 47)), b"S"

#: place → when its first certificate ends, and when that was read (monotonic)
Seen = dict[str, tuple[datetime, float]]


class Certificates:
    """where: paths of PEM files, `host:port`, and `postgres://host:port`."""

    def __init__(self, where: Sequence[str]) -> None:
        self._where = where
        self._seen: Seen = {}
        self._known: Finding | None = None
        self._looked = 0.0

    def __call__(self) -> Finding:
        if self._known is None or time.monotonic() - self._looked >= _EVERY:
            self._known = look(self._where, datetime.now(UTC), self._seen)
            self._looked = time.monotonic()
        return self._known


def look(where: Sequence[str], now: datetime, seen: Seen | None = None) -> Finding:
    """What to say of these certificates. One that cannot be read is reported, and does not hide the others."""
    seen = {} if seen is None else seen
    unread = []
    begin = time.monotonic()
    for place in where:
        try:
            if time.monotonic() - begin > _ALL_WITHIN:
                raise TimeoutError
            seen[place] = (min(one.not_valid_after_utc for one in read(place)), time.monotonic())
        except (OSError, ValueError) as error:
            if not (_is_server(place) and place in seen and time.monotonic() - seen[place][1] < _KNOWN_FOR):
                seen.pop(place, None)
                unread.append(f"{_shown(place)} ({type(error).__name__})")
    ends = {place: (seen[place][0] - now).total_seconds() / 86_400 for place in where if place in seen}
    if not ends:
        raise Unanswered(f"no certificate could be read: {', '.join(unread)}")
    first = min(ends, key=lambda place: ends[place])
    measures = {"erip_certificate_days_left": ends[first]}
    shown = _shown(first)
    if ends[first] <= 0:
        return Finding(State.DOWN, f"The certificate of {shown} has expired.", "", measures)
    if unread:
        return Finding(State.DEGRADED, f"Certificates could not be read: {', '.join(unread)}.", "", measures)
    if ends[first] <= _SOON:
        return Finding(State.DEGRADED, f"The certificate of {shown} expires in {ends[first]:.0f} days.", "", measures)
    return Finding(
        State.OK, f"The first certificate to expire is that of {shown}, in {ends[first]:.0f} days.", "", measures
    )


def _shown(place: str) -> str:
    """A file without its folder."""
    return place.removeprefix(_POSTGRES) if _is_server(place) else Path(place).name


def _is_server(place: str) -> bool:
    host, _, port = place.rpartition(":")
    return bool(host) and port.isdigit() and not place.startswith("/")


def read(place: str) -> list[x509.Certificate]:
    """In a file, or what a server shows. Raises OSError, ValueError."""
    if not _is_server(place):
        return x509.load_pem_x509_certificates(Path(place).read_bytes())
    host, _, port = place.removeprefix(_POSTGRES).rpartition(":")
    host = host.strip("[]")
    # Unchecked: an expired certificate has to be looked at as well. One of our own is not needed: with TLS 1.3 the
    # server shows its own before it asks for ours.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((host, int(port)), _ONE_WITHIN) as plain:
        if place.startswith(_POSTGRES):
            plain.sendall(_QUESTION)
            if plain.recv(1) != _YES:
                raise ValueError("no TLS")
        with context.wrap_socket(plain, server_hostname=host) as link:
            raw = link.getpeercert(binary_form=True)
            if place.startswith(_POSTGRES):
                # It writes a line into its log about a client that leaves without a word.
                with suppress(OSError):
                    link.unwrap()
    if raw is None:
        raise ValueError("no certificate")
    return [x509.load_der_x509_certificate(raw)]
