"""URI references (RFC 3986) in a canonical form in which they can be compared, and patterns of them.

Nothing here raises: every text has a canonical form. Other code refuses a text that is no URI reference at all.
"""

import re
import unicodedata
from functools import lru_cache
from urllib.parse import unquote

# RFC 3986, appendix B: it matches every text.
_PARTS = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_ENCODED = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PORTS = {"http": ":80", "https": ":443", "ws": ":80", "wss": ":443"}
#: how often a text is percent-decoded to find what a reader may take it for
_DECODED = 8


@lru_cache(maxsize=10_000)
def canonical(reference: str) -> str:
    """The reference after syntax-based normalisation (RFC 3986, 6.2.2), with the default ports of HTTP left out and an
    empty path as `/` behind a host (6.2.3). Two references that are equivalent by these rules give the same text.
    """
    scheme, authority, path, query, fragment = _split(reference)
    scheme = scheme.lower() if scheme is not None else None
    path = _percent(path)
    if authority is not None:
        user, at, host = _percent(authority).rpartition("@")
        host = host.lower()
        port = _PORTS.get(scheme or "")
        if port and host.endswith(port):
            host = host.removesuffix(port)
        authority = f"{user}{at}{host.removesuffix(':')}"
        path = _without_dots(path) or "/"
    elif scheme is None or path.startswith("/"):
        # A reference relative to an unknown base is compared by the place that it names from that base.
        rooted = path.startswith("/")
        path = _without_dots(path if rooted else f"/{path}")
        path = path if rooted else path[1:]
    return "".join(
        (
            f"{scheme}:" if scheme is not None else "",
            f"//{authority}" if authority is not None else "",
            path,
            _percent(query or ""),
            _percent(fragment or ""),
        )
    )


@lru_cache(maxsize=10_000)
def names(reference: str, segment: str, hosts: frozenset[str]) -> bool:
    """Whether a reader could take the reference for something beneath `/segment/` of this platform.

    It errs on the safe side: other spellings (case, percent-encoding once or several times, dot segments, backslashes,
    doubled slashes, compatibility characters of Unicode), a scheme, URN namespace or host of that name, and absolute
    references to one of `hosts` count too. segment, hosts: in lower case.
    """
    return any(_names(text, segment, hosts) for text in {canonical(reference), folded(reference)})


def folded(text: str) -> str:
    """A text as the most generous reader takes it: percent-decoded, in one case, without invisible characters."""
    for _ in range(_DECODED):
        decoded = unquote(text)
        if decoded == text:
            break
        text = decoded
    text = unicodedata.normalize("NFKC", text).casefold().replace("\\", "/")
    return "".join(each for each in text if not each.isspace() and unicodedata.category(each) not in ("Cc", "Cf"))


def _names(text: str, segment: str, hosts: frozenset[str]) -> bool:
    scheme, authority, path, _, _ = _split(text)
    scheme = (scheme or "").lower()
    if scheme == segment or (scheme == "urn" and path.partition(":")[0].lower() == segment):
        return True
    host = _host(authority or "")
    if host == segment:
        return True
    if host and host not in hosts:
        return False
    if scheme and not path.startswith("/") and scheme not in ("http", "https", "file"):
        return False  # an opaque name, as in mailto:
    first = _without_dots("/" + re.sub("/+", "/", path).lstrip("/")).split("/")[1]
    return first.partition(";")[0].lower() == segment


def _host(authority: str) -> str:
    # A port, or whatever else a generous reader takes for the end of a name.
    return re.split("[^a-z0-9._-]", authority.rpartition("@")[2].lower(), maxsplit=1)[0].rstrip(".")


def _split(reference: str) -> tuple[str | None, str | None, str, str | None, str | None]:
    found = _PARTS.fullmatch(reference)
    assert found is not None
    return found[1], found[2], found[3], found[4], found[5]


def _percent(text: str) -> str:
    """6.2.2.1 and 6.2.2.2: hexadecimal digits in upper case, and nothing encoded without need."""
    if "%" not in text:
        return text

    def one(found: re.Match[str]) -> str:
        letter = chr(int(found[1], 16))
        return letter if letter in _UNRESERVED else found[0].upper()

    return _ENCODED.sub(one, text)


def _without_dots(path: str) -> str:
    """5.2.4, of a path that begins with a slash or is empty."""
    if "/." not in path:
        return path
    out: list[str] = []
    segments = path.split("/")[1:]
    for each in segments:
        if each == "..":
            if out:
                out.pop()
        elif each != ".":
            out.append(each)
    if segments[-1] in (".", ".."):
        out.append("")
    return "/" + "/".join(out)


# --- patterns: a reference, or the beginning of one and `*` ----------------------------------------------

ANY = "*"


def matches(pattern: str, reference: str) -> bool:
    """Whether the pattern (without a `pattern_fault`) lets the reference through. reference: in its canonical form."""
    if pattern.endswith("*"):
        return reference.startswith(pattern[:-1])
    return reference == pattern


def pattern_fault(pattern: str) -> str | None:
    """What is wrong with a pattern of references, or None."""
    if pattern == ANY:
        return None
    if not pattern:
        return "must not be empty"
    begins = pattern.endswith("*")
    text = pattern[:-1] if begins else pattern
    if "*" in text:
        return "may have `*` at its end only"
    if not text.isascii() or not text.isprintable() or " " in text:
        return "must have printable ASCII characters only"
    scheme, authority, path, _, _ = _split(text)
    if begins and authority is not None and not path:
        return "must name the whole host: end it with `/*`"
    if begins and scheme is not None and authority is None and scheme.lower() in ("http", "https", "ws", "wss"):
        return "must name a host behind the scheme"
    if canonical(text) != text:
        return f"must be written in its canonical form: {canonical(text)}{'*' if begins else ''}"
    return None
