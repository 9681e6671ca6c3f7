"""TLS to Redis and the Sentinels: 1.3 alone, to a server of a known authority, with a certificate of one's own.

redis-py makes a context for each connection, which trusts the system's authorities beside the one that is named, and
reads them each time. Here contexts are kept, and trust the named authority alone (`trust`).
"""

import erip.foundation.redis_alone  # noqa: F401  (first: it says why)

# isort: split
import ssl
from typing import Any

import redis
from redis.sentinel import SentinelManagedConnection

from erip.foundation.process.trust import context_of


def tls_options(url: str, *, ca: str, certificate: str) -> dict[str, Any] | None:
    """What redis-py's connections and kombu's `ssl` take; None for a broker without TLS.

    url: kombu's. A Sentinel's says nothing about TLS, so the authority does: with `ca` everything is TLS.
    certificate: a PEM file with the certificate and its key; "" for a server that asks for none.
    """
    if not ca and not url.startswith("rediss://"):
        return None
    found: dict[str, Any] = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_min_version": ssl.TLSVersion.TLSv1_3}
    if ca:
        found["ssl_ca_certs"] = ca
    if certificate:
        found |= {"ssl_certfile": certificate, "ssl_keyfile": certificate}
    return found


class TlsConnection(redis.SSLConnection):
    """redis-py's, with `context_of`."""

    def _wrap_socket_with_ssl(self, sock: Any) -> ssl.SSLSocket:
        return context_of(self.ca_certs, self.certfile).wrap_socket(sock, server_hostname=self.host)


class ManagedTlsConnection(SentinelManagedConnection, TlsConnection):
    """To the server that the Sentinels name."""


def client_of(tls: dict[str, Any] | None, **parameters: Any) -> redis.Redis:
    """A client of one server, which closes its connections when it is closed.

    tls: `tls_options`; None for a plain connection. parameters: of redis-py's connections and pools.
    """
    kind = redis.Connection if tls is None else TlsConnection
    return redis.Redis.from_pool(redis.ConnectionPool(connection_class=kind, **parameters, **(tls or {})))
