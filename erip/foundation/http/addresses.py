"""The client's own address, not that of the proxy in front of us.

Note [Client address]
A proxy appends the address that it saw to `X-Forwarded-For`; everything to the left of that came with the request, and
may be forged. So the addresses are read from right to left, beginning with the peer of the connection, as long as the
address just read is one of ERIP_TRUSTED_PROXIES. The first address that is not trusted is the client. Nothing is
trusted by
default: then the peer is the client, and the header is ignored.

`TrueClient` puts what it found into `scope["client"]`, from where Django takes REMOTE_ADDR, so whatever looks there is
right as well. Other code calls `client_address`; limits are counted by `address_group`. If proxies are named,
`X-Forwarded-Proto` is believed from them alone. If none are named, it is believed from every client, as it was before
that setting existed: otherwise a platform behind TLS would redirect its browsers in a loop.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.http import HttpRequest

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Scope = MutableMapping[str, Any]

#: the name of a client without a known address, such as one on a Unix socket
UNKNOWN = ""
#: marks an ASGI scope whose `client` is already the client's own address
_KEY = "erip.client"
#: one site of IPv6 is at least a /64: a client that has one address of it has all of them
_IPV6_SITE = 64
#: more proxies than any real chain has; entries further to the left are not read
_LONGEST_CHAIN = 32


class TrueClient:
    """ASGI middleware, the outermost: `scope["client"]` becomes the client's own address."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            address = _of_scope(scope)
            peer = scope.get("client")
            # If a proxy is in between, the port is the proxy's own.
            port = peer[1] if peer and _canonical(peer[0]) == address else 0
            scope = {**scope, "client": (address, port) if address else peer, _KEY: address}
            if settings.ERIP_TRUSTED_PROXIES and not (peer and is_trusted(peer[0])):
                # Only proxies may say whether it came over TLS, too.
                scope["headers"] = [each for each in scope["headers"] if each[0] != b"x-forwarded-proto"]
            elif settings.ERIP_TRUSTED_PROXIES and scope.get("scheme") == "https":
                # TLS between the proxy and us says nothing of the client.
                said = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
                scope["scheme"] = "http" if said and said[-1] != b"https" else "https"
        await self.app(scope, receive, send)


def client_address(request: HttpRequest | Scope) -> str:
    """The address of the client that sent a Django request or an ASGI scope, in its canonical form.

    IPv4 that arrives as IPv6 (`::ffff:192.0.2.1`) is IPv4. "" if the address is unknown.
    """
    if not isinstance(request, HttpRequest):
        return _of_scope(request)
    scope = getattr(request, "scope", None)
    if scope is not None:
        return _of_scope(scope)
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    return resolve(request.META.get("REMOTE_ADDR", ""), [forwarded] if forwarded else [])


def address_group(address: str) -> str:
    """The key under which limits are counted: an IPv4 address itself, or the /64 of an IPv6 address, the least that one
    customer has."""
    found = _parse(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found), _IPV6_SITE), strict=False))
    return str(found) if found else UNKNOWN


def is_trusted(address: str) -> bool:
    """Whether the address is one of ERIP_TRUSTED_PROXIES."""
    found = _parse(address)
    return found is not None and _trusts(found)


def resolve(peer: str, forwarded: Iterable[str]) -> str:
    """The client behind the connection from `peer`, whose X-Forwarded-For headers are `forwarded`, in their order.

    See Note [Client address]. An entry that is no address ends the walk: the peer that wrote it is the last one known.
    """
    address = _parse(peer)
    if address is None:
        return UNKNOWN
    if not _trusts(address):
        return str(address)
    entries = [entry for header in forwarded for entry in header.split(",")][-_LONGEST_CHAIN:]
    while entries and _trusts(address):
        before = _parse(entries.pop())
        if before is None:
            break
        address = before
    return str(address)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks (`10.0.0.0/8`). Raises ValueError for what is neither."""
    return tuple(ip_network(text.strip()) for text in texts if text.strip())


def _of_scope(scope: Scope) -> str:
    known = scope.get(_KEY)
    if known is not None:
        return str(known)
    client = scope.get("client")
    peer = client[0] if client else ""
    if not is_trusted(peer):
        return _canonical(peer)
    return resolve(peer, [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"])


def _canonical(text: str) -> str:
    found = _parse(text)
    return str(found) if found else UNKNOWN


@lru_cache(maxsize=1024)
def _parse(text: str) -> Address | None:
    """An address as proxies write it: with or without a port, with or without brackets for IPv6; a zone is cut off."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


@lru_cache(maxsize=1024)
def _trusts(address: Address) -> bool:
    return any(address in network for network in networks(settings.ERIP_TRUSTED_PROXIES))


def _forget(**changed: Any) -> None:
    if changed.get("setting") == "ERIP_TRUSTED_PROXIES":
        _trusts.cache_clear()


setting_changed.connect(_forget)
