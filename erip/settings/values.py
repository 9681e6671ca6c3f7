"""How the text of a setting becomes its value. Each reader takes the text and raises BadValue, which says what is wrong
with it in words that follow the setting's name: "is not a whole number". No reader looks at anything else.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any
from urllib.parse import SplitResult, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

#: Bytes of one value. The kernel takes no variable above 128 KiB, and no setting needs a tenth of it.
LONGEST = 65_536

_WHOLE = re.compile(r"[+-]?[0-9][0-9_]*", re.ASCII)
_TRUE = frozenset({"true", "yes", "on", "1", "y", "t"})
_FALSE = frozenset({"false", "no", "off", "0", "n", "f"})
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
#: with a leading letter: what may stand before `://`
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")

# For mail when no server is named; the library's own default prints it, and printed mail ends up in a log.
environ.Env.EMAIL_SCHEMES["nomail"] = "erip.foundation.outbound.nomail.NoMail"


class BadValue(ValueError):
    """A text is no value of its setting: the message says why, and does not repeat the text."""


Reader = Callable[[str], Any]


def text(given: str) -> str:
    return given


def whole(given: str) -> int:
    """Digits, perhaps with a sign. No other alphabet's digits, which `int` would take."""
    if not _WHOLE.fullmatch(given.strip()):
        raise BadValue("is not a whole number")
    try:
        return int(given)
    except ValueError:  # `1__0`, or more digits than Python converts
        raise BadValue("is not a whole number") from None


def number(given: str) -> float:
    try:
        found = float(given) if given.isascii() else math.nan
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise BadValue("is not a number")
    return found


def flag(given: str) -> bool:
    """true, yes, on, 1 or false, no, off, 0, in any case."""
    word = given.strip().lower()
    if word not in _TRUE | _FALSE:
        raise BadValue("is neither true nor false")
    return word in _TRUE


def items(given: str) -> list[str]:
    """Separated by commas; spaces around an item do not count."""
    return [item.strip() for item in given.split(",") if item.strip()]


def numbers(given: str) -> dict[str, float]:
    """`name=number` pairs, separated by commas."""
    found: dict[str, float] = {}
    for pair in items(given):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise BadValue(f"holds {pair!r}, which is not name=number")
        if name.strip() in found:
            raise BadValue(f"names {name.strip()} twice")
        try:
            found[name.strip()] = number(value)
        except BadValue:
            raise BadValue(f"holds {pair!r}, whose value is not a number") from None
    return found


def database_url(given: str) -> dict[str, Any]:
    try:
        found = environ.Env.db_url_config(given)
    except (ValueError, ImproperlyConfigured):
        raise BadValue("is not a database URL") from None
    if found.get("ENGINE") != "django.db.backends.postgresql":
        raise BadValue("is not a database URL of PostgreSQL, as postgres://user:password@host:5432/name")
    return found  # type: ignore[no-any-return]


def database_address(given: str) -> str:
    """A database URL, kept as text."""
    database_url(given)
    return given


def email_url(given: str) -> dict[str, Any]:
    try:
        return environ.Env.email_url_config(given)  # type: ignore[no-any-return]
    except (ValueError, KeyError, ImproperlyConfigured):
        raise BadValue("is not an e-mail URL") from None


# --- forms of texts ---------------------------------------------------------------------------------------


def url(*schemes: str) -> Reader:
    """A reader of URLs with a host and one of these schemes. It keeps the text."""

    def read(given: str) -> str:
        parts = _split(given)
        if parts.scheme not in schemes or not parts.hostname:
            raise BadValue(f"is not a URL with a host that begins with {' or '.join(f'{one}://' for one in schemes)}")
        return given

    return read


http_url = url("http", "https")


def bucket_url(given: str) -> str:
    """https://host/bucket, perhaps with a prefix, and nothing else: a password in it would be shown with the URL."""
    http_url(given)
    if "@" in _split(given).netloc or "?" in given or "#" in given:
        raise BadValue("holds more than https://host/bucket/prefix; the key has settings of its own")
    bucket = _split(given).path.strip("/").partition("/")[0]
    if not _BUCKET.fullmatch(bucket):
        raise BadValue(
            f"names {bucket!r}, which is no bucket: https://host/bucket/prefix" if bucket else "names no bucket"
        )
    return given


def domain(given: str) -> str:
    """A domain name in lower case, as browsers compare it: no address, no scheme, no port."""
    if len(given) > 253 or not _DOMAIN.fullmatch(given) or given.rpartition(".")[2].isdigit():
        raise BadValue("is no domain name in lower case, as erip.example.com")
    return given


def origin(given: str) -> str:
    """Scheme, host and perhaps a port of pages, as browsers name them. Plain http only for this machine itself."""
    parts = _split(given)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "localhost")
    if not safe or not parts.hostname or given.lower() != f"{parts.scheme}://{parts.netloc}" or "@" in given:
        raise BadValue("is no origin, as https://erip.example.com; http is for localhost alone")
    return given


def broker_urls(given: str) -> str:
    """One redis:// or rediss:// URL, or sentinel:// URLs with semicolons between them."""
    urls = [one.strip() for one in given.split(";")]
    for one in urls:
        if _split(one).scheme not in ("redis", "rediss", "sentinel"):
            raise BadValue("must be redis://, rediss:// or sentinel://, with a scheme on each of its URLs")
        if not _split(one).hostname:
            raise BadValue("names no host in one of its URLs")
    if len({_split(one).scheme for one in urls}) > 1 or (len(urls) > 1 and _split(urls[0]).scheme != "sentinel"):
        raise BadValue("must be one redis:// or rediss:// URL, or sentinel:// URLs alone")
    return given


def syslog(given: str) -> str:
    """udp://host:port, tcp://host:port, or an absolute path."""
    if not given.startswith("/"):
        url("udp", "tcp")(given)
    return given


def file_or_server(given: str) -> str:
    """A path, or host:port."""
    host, colon, port = given.rpartition(":")
    if "/" in given:
        return given
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise BadValue(f"holds {given!r}, which is neither a path nor host:port")
    return given


def network(given: str) -> str:
    try:
        ip_network(given)
    except ValueError as error:
        raise BadValue(f"names {given!r}, which is no address and no network ({error})") from None
    return given


def key_of_32_bytes(given: str) -> str:
    try:
        found = base64.b64decode(given, validate=True)
    except (ValueError, binascii.Error):
        found = b""
    if len(found) != 32:
        raise BadValue("is not 32 bytes in base64")
    return given


def webhook_secret(given: str) -> str:
    """`whsec_` and base64, as Standard Webhooks has it; its libraries also take the base64 alone."""
    try:
        found = base64.b64decode(given.removeprefix("whsec_"))
    except (ValueError, binascii.Error):
        found = b""
    if not found:
        raise BadValue("is not whsec_ and base64")
    return given


def log_level(given: str) -> str:
    """One of logging's names, in any case."""
    if given.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        raise BadValue("is none of DEBUG, INFO, WARNING, ERROR, CRITICAL")
    return given


def package(given: str) -> str:
    """The name of a Python package that can be found."""
    if not all(part.isidentifier() for part in given.split(".")):
        raise BadValue(f"names {given!r}, which is not the name of a Python package")
    return given


def _split(given: str) -> SplitResult:
    """Raises BadValue if it cannot be taken apart."""
    if any(ord(one) <= 32 or ord(one) == 127 for one in given):
        raise BadValue("holds a space or a control character, which a URL may not")
    try:
        parts = urlsplit(given)
        _ = parts.port
    except ValueError:
        raise BadValue("is not a URL") from None
    if not _SCHEME.fullmatch(parts.scheme):
        raise BadValue("is not a URL with a scheme, as https://")
    return parts
