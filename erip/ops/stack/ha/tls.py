"""How a process of this machine reaches PostgreSQL and Redis: TLS 1.3, with a certificate of its own, to a server whose
certificate it checks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg2
from psycopg2.extensions import make_dsn

from erip.foundation.process.broker_tls import tls_options
from erip.ops.deploy.circles import PLATFORM
from erip.ops.deploy.identity import Identity, identity
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


def of_broker(mine: Identity) -> dict[str, Any]:
    """What redis-py's connections take."""
    return tls_options("", ca=str(mine.ca), certificate=str(mine.certificate)) or {}


@dataclass(frozen=True)
class Reached:
    """What the platform's certificate in `folder` opens."""

    folder: Path

    @property
    def identity(self) -> Identity:
        return identity(self.folder, PLATFORM)

    @property
    def query(self) -> str:
        """For the end of a database's URL."""
        return urlencode(parameters(self.identity))

    def connect(self, port: int, password: str, database: str) -> "psycopg2.extensions.connection":
        """A superuser's connection. Raises psycopg2.Error."""
        login = {"host": LOOPBACK, "port": str(port), "user": SUPERUSER, "password": password, "dbname": database}
        return psycopg2.connect(make_dsn(**login, connect_timeout=2, **parameters(self.identity)))
