"""Whether an address stays on this machine."""

import ipaddress
from urllib.parse import urlsplit


def is_here(host: str) -> bool:
    """Whether this is a socket's path, nothing, or an address of loopback."""
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def hosts_of(url: str) -> list[tuple[str, str]]:
    """(scheme, host) of each address of a URL with several, separated by semicolons. Raises ValueError."""
    return [(parts.scheme, parts.hostname or "") for parts in map(urlsplit, filter(None, url.split(";")))]
