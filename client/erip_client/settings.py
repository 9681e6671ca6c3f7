"""Where the server is and who calls: checked once, before anything is sent."""

import os
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from .version import VERSION

DEFAULT_URL: Final = "http://127.0.0.1:8000"
_KEY = re.compile(r"[\x21-\x7e]{1,1000}")


@dataclass(frozen=True, slots=True)
class Settings:
    """url: the server's, without /api. key: never shown. timeout: seconds for one answer, whole. patience: seconds
    during which a request is repeated."""

    url: str
    key: str | None = field(repr=False)
    timeout: float = 30.0
    patience: float = 30.0

    def headers(self) -> dict[str, str]:
        """Sent with every request. An answer that is not compressed cannot grow when it is read."""
        own = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": f"erip-client/{VERSION}"}
        return own | ({"Authorization": f"Bearer {self.key}"} if self.key else {})


def settings(url: str | None, key: str | None, *, timeout: float, patience: float) -> Settings:
    """url, key: if None, ERIP_URL and ERIP_API_KEY of the environment. Raises ValueError, without the key in it."""
    given = url if url is not None else os.environ.get("ERIP_URL") or DEFAULT_URL
    token = key if key is not None else os.environ.get("ERIP_API_KEY")
    if timeout <= 0 or patience < 0:
        raise ValueError("timeout must be more than 0, and patience not less")
    return Settings(checked_url(given), checked_key(token), timeout, patience)


def checked_url(text: str) -> str:
    """The address without a slash at its end. Raises ValueError."""
    url = text.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is no address: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"{text!r} is no address of a server: it must be http://… or https://…")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address must hold no user and no password")
    if parts.query or parts.fragment or any(ord(character) < 33 for character in url):
        raise ValueError(f"{text!r} is no address of a server: it must end with its host or path")
    return url


def checked_key(token: str | None) -> str | None:
    """None: without a key. Raises ValueError."""
    if token is None or not (stripped := token.strip()):
        return None
    if not _KEY.fullmatch(stripped):
        raise ValueError("the API key holds characters that no key has")
    return stripped
