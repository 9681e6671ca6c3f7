"""Names of hosts outside of ASCII, by IDNA 2008.

Python's own codec (`str.encode("idna")`, which `socket` applies too) is IDNA 2003: it turns `straße.de` into
`strasse.de`, which may be another owner's host. Here it is `xn--strae-oqa.de` (RFC 5891, with the mapping of Unicode TS
46, non-transitional), as browsers have it. All code that calls or compares a host gets the name from here.
"""

from urllib.parse import urlsplit

import idna


class BadHost(ValueError):
    """The name is not one of a host; the message says why."""


def ascii_host(host: str) -> str:
    """The name as it is looked up: ASCII, in lower case. Raises BadHost.

    An ASCII name stays as it is (names of machines within a network need not be DNS names). An address of IPv6
    has no brackets.
    """
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True, transitional=False, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise BadHost(f"{host!r} is not a host name: {error}") from error


def ascii_email(address: str) -> str:
    """An e-mail address whose domain is ASCII; the part before it stays as it is. Raises BadHost."""
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{ascii_host(domain)}"


def host_fault(name: str, url: str) -> str | None:
    """What is wrong with the host in a setting (a URL or a bare name), or None. The host must already be ASCII.

    The libraries that read such a setting would look its host up by IDNA 2003.
    """
    try:
        host = (urlsplit(url).hostname if "://" in url else url) or ""
    except ValueError as error:
        return f"{name}: {error}"
    if host.isascii():
        return None
    try:
        return f"{name}: the host {host!r} must be written as {ascii_host(host)!r}"
    except BadHost as error:
        return f"{name}: {error}"
