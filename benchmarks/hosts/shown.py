"""Which certificate is shown at each port of the site: by its serial number."""

import hashlib
import socket
import ssl
import struct

#: of each of the three hosts
PORTS = {"door": 2379, "etcd": 2380, "postgresql": 5432, "redis": 6379, "web": 8000, "patroni": 8008, "sentinel": 26379}
BALANCER, FLOWER = ("10.0.0.31", 443), ("10.0.0.11", 5555)
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def certificates() -> dict[str, str]:
    """The certificate's fingerprint at each port, or what is wrong with it."""
    found = {f"{name} {host}": _shown(f"10.0.0.1{host}", port) for host in (1, 2, 3) for name, port in PORTS.items()}
    return {**found, "flower": _shown(*FLOWER), "haproxy": _shown(*BALANCER)}


def _shown(host: str, port: int) -> str:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), timeout=5) as plain:
            if port == PORTS["postgresql"]:
                plain.sendall(_SSL_REQUEST)
                if plain.recv(1) != b"S":
                    return "no TLS"
            # A server shows its certificate before it asks for ours.
            with context.wrap_socket(plain, server_hostname=host) as ours:
                return hashlib.sha256(ours.getpeercert(binary_form=True) or b"").hexdigest()
    except OSError as error:
        return f"no answer: {error}"
