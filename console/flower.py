"""The way from a web process to Flower (`erip.ops.stack.monitor`), of which nothing but GET is known.

Flower gets the login that only web processes know, and of the browser's headers those in `_TO`: no cookie, no
credentials. Back come the headers in `_FROM`. An answer is read whole, up to a bound in size and in time, before
anything of it is passed on: what is cut off is no answer. A few are read at once, so that a Flower that hangs holds few
of the threads that answer requests.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from erip.foundation.process.trust import context_of

if TYPE_CHECKING:
    import httpx

#: for one answer: seconds from beginning to end, and bytes
SECONDS: Final = 10.0
MOST_BYTES: Final = 8 * 2**20
#: answers that one process reads at once, and seconds for which a further request waits for its turn
AT_ONCE: Final = 8
WAITS: Final = 2.0
_TO: Final = ("Accept", "Accept-Language", "If-None-Match", "If-Modified-Since")
_FROM: Final = ("Content-Type", "ETag", "Last-Modified")
#: what Flower may say; anything else is not passed on
_STATUSES: Final = frozenset({200, 304, 400, 404})

_turns = threading.BoundedSemaphore(AT_ONCE)
_lock = threading.Lock()
#: the client, and what it was made of
_kept: "tuple[tuple[Any, ...], httpx.Client] | None" = None


class FlowerAway(Exception):
    """Flower does not answer, or not as it should: the message says why, without data of anybody."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]


def is_set() -> bool:
    return bool(settings.ERIP_FLOWER_URL and settings.ERIP_FLOWER_LOGIN)


def ask(place: str, headers: Mapping[str, str]) -> Answer:
    """What Flower says. place: path and query, as `console.core.flower.place_of` gives them. headers: the browser's.
    Raises FlowerAway."""
    # Loaded by those who look at Flower alone.
    import httpx

    passed = {name: headers[name] for name in _TO if name in headers}
    until = time.monotonic() + SECONDS
    try:
        with _turn(), _client().stream("GET", settings.ERIP_FLOWER_URL.rstrip("/") + place, headers=passed) as found:
            if found.status_code not in _STATUSES:
                raise FlowerAway(f"it answers {found.status_code}")
            if "Content-Encoding" in found.headers:
                raise FlowerAway("its answer is encoded, which was not asked for")
            body = bytearray()
            for part in found.iter_raw():
                body += part
                if len(body) > MOST_BYTES:
                    raise FlowerAway("its answer is too large")
                if time.monotonic() > until:
                    raise FlowerAway("its answer takes too long")
            back = {name: found.headers[name] for name in _FROM if name in found.headers}
            return Answer(found.status_code, bytes(body), back)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise FlowerAway(type(error).__name__) from error


@contextmanager
def _turn() -> Iterator[None]:
    if not _turns.acquire(timeout=WAITS):
        raise FlowerAway("this process asks it for enough already")
    try:
        yield
    finally:
        _turns.release()


def _client() -> "httpx.Client":
    """It keeps connections, and is made anew when a certificate was. Raises OSError for files that cannot be read."""
    import httpx

    global _kept
    url, login = settings.ERIP_FLOWER_URL, settings.ERIP_FLOWER_LOGIN
    ca, certificate = settings.ERIP_FLOWER_CA, settings.ERIP_FLOWER_WEB_CERTIFICATE
    context = context_of(ca or None, certificate or None) if urlsplit(url).scheme == "https" else None
    made_of = (url, login, context)
    with _lock:
        if _kept is None or _kept[0] != made_of:
            name, _, password = login.partition(":")
            client = httpx.Client(
                auth=(name, password),
                verify=context if context is not None else True,
                timeout=httpx.Timeout(SECONDS / 2, connect=2.0),
                limits=httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=2),
                headers={"Accept-Encoding": "identity"},
                # Flower's cookies are for browsers, and this client is that of all people.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                # No proxy, and no credentials from a file.
                trust_env=False,
                follow_redirects=False,
            )
            _kept = made_of, client
        return _kept[1]
