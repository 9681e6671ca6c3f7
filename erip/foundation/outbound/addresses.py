"""Which addresses a webhook may go to: a workflow must not be a way into the network that it runs in."""

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from erip.foundation.os_errors import in_words

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Sequence[str]]

# Ranges that hide an IPv4 address inside an IPv6 one, or that no webhook lives in, whatever ipaddress calls them.
_NEVER_GLOBAL: Final = tuple(
    ip_network(text)
    for text in (
        "::/96",  # IPv4-compatible, and :: itself
        "::ffff:0:0/96",  # IPv4-mapped
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64, local use
        "100::/64",  # discard only
        "2001::/23",  # IETF protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",  # site-local, deprecated
        "ff00::/8",
        "0.0.0.0/8",
        "100.64.0.0/10",  # shared address space
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)


class Refused(ValueError):
    """The target may not be called; the message says why."""


class Unresolved(OSError):
    """The target's name has no address at the moment."""

    #: it names the host, which a user has entered
    says_no_data = False


def resolve(host: str, port: int) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unresolved(f"{host} cannot be resolved: {in_words(error)}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def permitted(host: str, port: int, *, allow_private: bool, resolver: Resolver = resolve) -> str:
    """The one address to connect to. The name is resolved only here: the caller connects to the address and not to the
    name.

    Raises Refused if any address of the name must not be called: a name with a public and a private address is a trick
    or a mistake.
    """
    addresses = resolver(host, port)
    if not addresses:
        raise Unresolved(f"{host} has no address")
    for text in addresses:
        fault = refusal(ip_address(text.partition("%")[0]), allow_private=allow_private)
        if fault:
            raise Refused(f"{host} resolves to {text}, {fault}")
    return addresses[0]


def refusal(address: Address, *, allow_private: bool) -> str | None:
    """Why the address may not be called, or None."""
    if address.is_unspecified or address.is_multicast or address.is_link_local:
        # Not even where private targets are allowed: cloud metadata services are link-local.
        return "which is never called"
    if allow_private:
        return None
    if not address.is_global or any(address in net for net in _NEVER_GLOBAL if net.version == address.version):
        return "which is not a public address"
    return None
