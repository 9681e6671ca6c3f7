"""What goes over a port: which certificate a server shows, and all bytes that pass."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from erip.foundation.process.trust import context_of
from erip.ops.deploy.identity import Identity
from erip.ops.stack.ports import LOOPBACK

#: SSLRequest of PostgreSQL's protocol
_STARTTLS = bytes.fromhex("0000000804d2162f")


def serial_of_postgres(port: int, *, ca: Path, certificate: Path) -> str:
    """The serial number of the certificate that the PostgreSQL on this port shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(ca)
    context.load_cert_chain(certificate)
    with socket.create_connection((LOOPBACK, port), 5) as plain:
        plain.sendall(_STARTTLS)
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain, server_hostname=LOOPBACK) as encrypted:
            return str((encrypted.getpeercert() or {})["serialNumber"])


def serial_of(port: int, mine: Identity) -> str:
    """The same of a server that speaks nothing but TLS, with which its clients need a certificate."""
    with (
        socket.create_connection((LOOPBACK, port), 5) as plain,
        context_of(str(mine.ca), str(mine.certificate)).wrap_socket(plain, server_hostname=LOOPBACK) as encrypted,
    ):
        return str((encrypted.getpeercert() or {})["serialNumber"])


class Captured:
    """The bytes on loopback to and from some ports, since the block began."""

    def __init__(self, ports: set[int]) -> None:
        self._ports = ports
        self._lock = threading.Lock()
        self._found: dict[tuple[int, int], bytearray] = {}

    def add(self, frame: bytes) -> None:
        # Ethernet 14, then IPv4 without surprises: loopback.
        if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_TCP:
            return
        begin = 14 + (frame[14] & 0x0F) * 4
        ends = int.from_bytes(frame[begin : begin + 2]), int.from_bytes(frame[begin + 2 : begin + 4])
        if self._ports.isdisjoint(ends):
            return
        content = frame[begin + (frame[begin + 12] >> 4) * 4 : 14 + int.from_bytes(frame[16:18])]
        with self._lock:
            self._found.setdefault(ends, bytearray()).extend(content)

    def holds(self, text: bytes) -> set[int]:
        """The ports on which the text went by."""
        with self._lock:
            return {
                port for ends, content in self._found.items() if text in content for port in self._ports & set(ends)
            }

    def seen(self) -> set[int]:
        """The ports on which anything did."""
        with self._lock:
            found = [ends for ends, content in self._found.items() if content]
        return {port for ends in found for port in ends} & self._ports


def can_capture() -> bool:
    try:
        _socket().close()
    except (OSError, AttributeError):
        return False
    return True


@contextmanager
def capture(ports: set[int]) -> Iterator[Captured]:
    """Raises OSError for who may not (root, or CAP_NET_RAW)."""
    found, over = Captured(ports), threading.Event()
    raw = _socket()

    def read() -> None:
        while not over.is_set():
            try:
                found.add(raw.recv(1 << 18))
            except TimeoutError:
                continue
            except OSError:
                return

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join(5)
        raw.close()


def _socket() -> socket.socket:
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    raw.bind(("lo", 0))
    raw.settimeout(0.2)
    return raw
