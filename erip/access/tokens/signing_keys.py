"""The keys that issuers sign with, as they publish them (JWKS, RFC 7517).

Note [Signing keys]
A process reads an issuer's keys when the first token of that issuer comes, and again when a token names a key that it
does not know, or after KEEP seconds; never more often than once in AGAIN seconds, whatever comes, and by one thread. So
keys can be rotated without a restart, and nobody can have an issuer asked at every request. While an issuer cannot be
reached, the keys that are known count on, for STALE seconds; a token of an issuer whose keys are not known at all is
answered with 503: unknown is not no.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import jwt
import structlog

from ..errors import IssuerAway

if TYPE_CHECKING:
    # At run time it is loaded where an issuer is asked: most processes never do, and it takes some megabytes.
    import httpx

log = structlog.get_logger(__name__)

KEEP: Final = 3_600.0
AGAIN: Final = 30.0
STALE: Final = 86_400.0
#: seconds for an answer, and its bytes
SECONDS: Final = 3.0
MOST: Final = 256 * 1024
#: keys of one issuer
MOST_KEYS: Final = 100


class Publishing(Protocol):
    """Whoever publishes keys. issuer: as it calls itself; jwks: where the keys are, "" where its document says."""

    @property
    def issuer(self) -> str: ...

    @property
    def jwks(self) -> str: ...


@dataclass(slots=True)
class _Known:
    keys: Mapping[str, jwt.PyJWK] = field(default_factory=dict)
    read_at: float = float("-inf")
    tried_at: float = float("-inf")
    lock: threading.Lock = field(default_factory=threading.Lock)


class SigningKeys:
    """Those that this process knows."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._by_issuer: dict[tuple[str, str], _Known] = {}

    def find(self, issuer: Publishing, kid: str) -> jwt.PyJWK | None:
        """The key of this id; None: the issuer has none. Raises IssuerAway."""
        with self._lock:
            known = self._by_issuer.setdefault((issuer.issuer, issuer.jwks), _Known())
        now = self._clock()
        if (kid not in known.keys or now - known.read_at > KEEP) and now - known.tried_at > AGAIN:
            with known.lock:  # others wait for the one that asks
                if now - known.tried_at > AGAIN:
                    self._read(issuer, known)
        if now - known.read_at > STALE:
            raise IssuerAway(f"The keys of {issuer.issuer} cannot be read; try again.")
        return known.keys.get(kid)

    def forget(self) -> None:
        """For tests."""
        with self._lock:
            self._by_issuer.clear()

    def _read(self, issuer: Publishing, known: _Known) -> None:
        import httpx

        try:
            known.keys, known.read_at = _published(issuer), self._clock()
        except (httpx.HTTPError, ValueError, TypeError, KeyError, jwt.PyJWTError) as error:
            log.warning("issuer_keys_not_read", issuer=issuer.issuer, error=type(error).__name__)
        finally:
            known.tried_at = self._clock()


def _published(issuer: Publishing) -> Mapping[str, jwt.PyJWK]:
    import httpx

    with httpx.Client(timeout=SECONDS, follow_redirects=False) as client:
        address = issuer.jwks
        if not address:
            found = document(client, f"{issuer.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != issuer.issuer:
                raise ValueError("the discovery document is another issuer's")
            address = str(found["jwks_uri"])
        listed = document(client, address)["keys"]
    keys: dict[str, jwt.PyJWK] = {}
    for each in list(listed)[:MOST_KEYS]:
        if not isinstance(each, dict) or each.get("use", "sig") != "sig" or each.get("kty") == "oct":
            continue
        try:
            keys[str(each["kid"])] = jwt.PyJWK(each)
        except (jwt.PyJWTError, KeyError):
            continue  # of a kind that we do not read, or without a name
    return keys


def document(client: "httpx.Client", address: str) -> dict[str, Any]:
    """Raises httpx.HTTPError, ValueError."""
    if not address.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise ValueError("not https")
    body, until = bytearray(), time.monotonic() + SECONDS
    with client.stream("GET", address, headers={"Accept": "application/json"}) as answer:
        answer.raise_for_status()
        if answer.is_redirect:
            raise ValueError("redirects are not followed")
        for part in answer.iter_bytes():
            body += part
            if len(body) > MOST or time.monotonic() > until:
                raise ValueError("too much, or too slow")
    found = json.loads(bytes(body))
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


signing_keys = SigningKeys()
