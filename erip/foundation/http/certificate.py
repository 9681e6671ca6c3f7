"""TLS of a web process towards the balancer in front of it: 1.3 alone, and a renewed certificate without a restart."""

import ssl
from pathlib import Path


class Certificate:
    """What is shown to clients. `renew` is to be called now and then: new files serve from the next connection on."""

    def __init__(self, file: str, clients: str = "") -> None:
        """Raises OSError for files that cannot be used.

        file: PEM with certificate and key. clients: PEM of the authority whose holders alone may connect; "": anybody.
        """
        self._file = Path(file)
        self._state = self._look()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.load_cert_chain(file)
        if clients:
            self.context.load_verify_locations(clients)
            self.context.verify_mode = ssl.CERT_REQUIRED

    def renew(self) -> bool:
        """Whether the file was another one. Raises OSError if it cannot be used: the old one is shown as before."""
        now = self._look()
        if now == self._state:
            return False
        self.context.load_cert_chain(self._file)
        self._state = now
        return True

    def _look(self) -> tuple[int, int, int]:
        found = self._file.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size
