"""Certificates, in files and of TLS servers: days until they expire. Looked at once a minute."""

import socket
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from monitoring.core.components import State
from monitoring.probes import PATIENCE, Finding, Unanswered

_EVERY = 60.0
#: days before the end at which it is time
_SOON = 14


class Certificates:
    """where: paths of PEM files, and `host:port`."""

    def __init__(self, where: Sequence[str]) -> None:
        self._where = where
        self._known: Finding | None = None
        self._looked = 0.0

    def __call__(self) -> Finding:
        if self._known is None or time.monotonic() - self._looked >= _EVERY:
            self._known = look(self._where, datetime.now(UTC))
            self._looked = time.monotonic()
        return self._known


def look(where: Sequence[str], now: datetime) -> Finding:
    """What to say of these certificates. One that cannot be read is reported, and does not hide the others."""
    ends: dict[str, float] = {}
    unread = []
    for place in where:
        shown = Path(place).name
        try:
            ends[shown] = min((one.not_valid_after_utc - now).total_seconds() for one in _read(place)) / 86_400
        except (OSError, ValueError) as error:
            unread.append(f"{shown} ({type(error).__name__})")
    if not ends:
        raise Unanswered(f"no certificate could be read: {', '.join(unread)}")
    first = min(ends, key=lambda place: ends[place])
    measures = {"erip_certificate_days_left": ends[first]}
    if ends[first] <= 0:
        return Finding(State.DOWN, f"The certificate of {first} has expired.", "", measures)
    if unread:
        return Finding(State.DEGRADED, f"Certificates could not be read: {', '.join(unread)}.", "", measures)
    if ends[first] <= _SOON:
        return Finding(State.DEGRADED, f"The certificate of {first} expires in {ends[first]:.0f} days.", "", measures)
    return Finding(
        State.OK, f"The first certificate to expire is that of {first}, in {ends[first]:.0f} days.", "", measures
    )


def _read(place: str) -> list[x509.Certificate]:
    host, _, port = place.rpartition(":")
    if host and port.isdigit() and not place.startswith("/"):
        # Unchecked: an expired certificate has to be looked at as well.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with (
            socket.create_connection((host, int(port)), PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname=host) as link,
        ):
            raw = link.getpeercert(binary_form=True)
        if raw is None:
            raise ValueError("no certificate")
        return [x509.load_der_x509_certificate(raw)]
    return x509.load_pem_x509_certificates(Path(place).read_bytes())
