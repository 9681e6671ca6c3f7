"""How a process of this machine reaches PostgreSQL: TLS 1.3, with a certificate of its own, to a server whose
certificate it checks."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import psycopg2
from psycopg2.extensions import make_dsn

from erip.ops.deploy.circles import PLATFORM
from erip.ops.deploy.nodes import Identity, identity
from erip.ops.stack.ports import LOOPBACK
from erip.ops.stack.postgres import SUPERUSER


def parameters(mine: Identity) -> dict[str, str]:
    """libpq's parameters."""
    certificate = str(mine.certificate)
    return {
        "sslmode": "verify-full",
        "sslrootcert": str(mine.ca),
        "sslcert": certificate,
        "sslkey": certificate,
        "ssl_min_protocol_version": "TLSv1.3",
    }


@dataclass(frozen=True)
class Reached:
    """What the platform's certificate in `folder` opens."""

    folder: Path

    @property
    def query(self) -> str:
        """For the end of a database's URL."""
        return urlencode(parameters(identity(self.folder, PLATFORM)))

    def connect(self, port: int, password: str, database: str) -> "psycopg2.extensions.connection":
        """A superuser's connection. Raises psycopg2.Error."""
        login = {"host": LOOPBACK, "port": str(port), "user": SUPERUSER, "password": password, "dbname": database}
        return psycopg2.connect(make_dsn(**login, connect_timeout=2, **parameters(identity(self.folder, PLATFORM))))
