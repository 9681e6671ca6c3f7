"""The networks from which an API key opens something. No network: from anywhere."""

from collections.abc import Collection, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

#: networks of one key
MOST = 100


def network_fault(text: str) -> str | None:
    """What is wrong with a network that a key is to be bound to, or None."""
    if "%" in text:
        return "must not name a zone: another host has another"
    try:
        found = ip_network(text)
    except ValueError:
        return f"is no address and no network{_meant(text)}"
    if isinstance(found, IPv6Network) and found.network_address.ipv4_mapped is not None:
        return "is IPv4 written as IPv6: write it as IPv4"
    return None


def canonical(texts: Iterable[str]) -> list[str]:
    """Networks that have no fault, as they are stored: each once, in the order in which they were given."""
    return list(dict.fromkeys(str(ip_network(text)) for text in texts))


def parsed(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks as they are stored."""
    return tuple(ip_network(text) for text in texts)


def contain(networks: Collection[Network], address: str) -> bool:
    """Whether the address is in one of the networks. An unknown address ("") is in none."""
    found = _address(address)
    return found is not None and any(found in one for one in networks)


@lru_cache(maxsize=1024)
def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _meant(text: str) -> str:
    """What may have been meant, as the end of a sentence: `10.0.0.1/8` has bits beside its network."""
    try:
        return f"; write {ip_network(text, strict=False)}"
    except ValueError:
        return ", such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32"
