"""One POST to an address that was checked.

The name is resolved once and the connection goes to that address; TLS (SNI, certificate) and the Host header use the
name. Redirects are not followed, proxies are not used, the answer is read up to a bound, and one deadline covers all of
it, however slowly the other side sends.
"""

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import SplitResult, urlsplit

from erip.foundation.os_errors import in_words
from erip.foundation.outbound.addresses import Refused, Resolver, permitted, resolve
from erip.foundation.outbound.hosts import BadHost, ascii_host

TIMEOUT_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_RETRY_AFTER: Final = 3600.0
#: of a refusal, what is kept: bytes
MAX_SAID: Final = 600


class DeliveryFailed(Exception):
    """The other side did not take the message."""

    def __init__(
        self,
        message: str,
        *,
        retryable: bool,
        retry_after: float | None = None,
        status: int | None = None,
        said: str = "",
    ) -> None:
        """status: of the answer, if there was one. retry_after: seconds that it asked for, up to an hour. said: how the
        answer's body begins, as the other side wrote it; it is no part of the message."""
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after
        self.status = status
        self.said = said


@dataclass(frozen=True, slots=True)
class Target:
    url: str
    scheme: str
    host: str
    port: int
    path: str
    header: str

    @classmethod
    def of(cls, url: str, *, allow_private: bool) -> "Target":
        """Raises Refused for a URL that must not be called."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise Refused(f"{url!r} is not a URL: {error}") from error
        if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
            raise Refused(f"{url!r} holds white space or control characters")
        if parts.scheme not in ("https", "http"):
            raise Refused(f"{url!r} is not an https URL")
        if parts.scheme == "http" and not allow_private:
            raise Refused(f"{url!r} is not an https URL; http is for private targets, where they are allowed")
        if not parts.hostname:
            raise Refused(f"{url!r} names no host")
        if parts.username is not None or parts.password is not None:
            raise Refused("a webhook URL must not hold a user name or a password")
        host = _ascii(parts)
        default = 443 if parts.scheme == "https" else 80
        bracketed = f"[{host}]" if ":" in host else host
        path = parts.path or "/"
        if parts.query:
            path += f"?{parts.query}"
        try:
            path.encode("ascii")
        except UnicodeEncodeError as error:
            raise Refused(f"{url!r}: percent-encode what is not ASCII") from error
        header = bracketed if port in (None, default) else f"{bracketed}:{port}"
        return cls(url, parts.scheme, host, port if port is not None else default, path, header)


def _ascii(parts: SplitResult) -> str:
    try:
        return ascii_host(parts.hostname or "")
    except BadHost as error:
        raise Refused(str(error)) from error


def send(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    now: datetime,
    allow_private: bool,
    timeout: float = TIMEOUT_SECONDS,
    resolver: Resolver = resolve,
    context: ssl.SSLContext | None = None,
) -> str:
    """Deliver. Returns the status line. Raises Refused, Unresolved or DeliveryFailed.

    now: aware; a Retry-After that names a moment is compared with it. headers: beside those that any request has.
    """
    target = Target.of(url, allow_private=allow_private)
    address = permitted(target.host, target.port, allow_private=allow_private, resolver=resolver)
    sent = {
        "Host": target.header,
        "User-Agent": "ERIP-Webhooks/1",
        "Accept": "*/*",
        "Connection": "close",
        **headers,
    }
    try:
        with _deadline(timeout) as register:
            connection = _connect(target, address, timeout, register, context)
            try:
                connection.request("POST", target.path, body, sent)
                answer = connection.getresponse()
                said = answer.read(MAX_ANSWER_BYTES)
            finally:
                connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise DeliveryFailed(f"{target.host}: {in_words(error)}", retryable=True) from error
    return _judge(target, answer, said, now)


def _judge(target: Target, answer: http.client.HTTPResponse, body: bytes, now: datetime) -> str:
    status = f"{answer.status} {answer.reason}"[:100].strip()
    if 200 <= answer.status < 300:
        return status
    said = body[:MAX_SAID].decode("utf-8", "replace")
    if 300 <= answer.status < 400:
        raise DeliveryFailed(
            f"{target.host} answered {status}; redirects are not followed",
            retryable=False,
            status=answer.status,
            said=said,
        )
    retryable = answer.status >= 500 or answer.status in (408, 425, 429)
    after = _retry_after(answer.getheader("Retry-After"), now) if retryable else None
    raise DeliveryFailed(
        f"{target.host} answered {status}", retryable=retryable, retry_after=after, status=answer.status, said=said
    )


def _retry_after(value: str | None, now: datetime) -> float | None:
    if not value:
        return None
    try:
        seconds = float(int(value))
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(MAX_RETRY_AFTER, seconds) if seconds > 0 else None


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[Callable[[socket.socket], None]]:
    """Shuts every registered socket when the time is up, because a socket's own timeout starts again with each byte."""
    sockets: list[socket.socket] = []
    over = threading.Event()

    def shut() -> None:
        over.set()
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def register(one: socket.socket) -> None:
        sockets.append(one)
        if over.is_set():
            shut()

    timer = threading.Timer(seconds, shut)
    timer.daemon = True
    timer.start()
    try:
        yield register
    except (OSError, http.client.HTTPException) as error:
        if over.is_set():
            raise TimeoutError(f"no answer within {seconds:g} s") from error
        raise
    finally:
        timer.cancel()
    if over.is_set():
        # A cut connection can look like a short answer.
        raise TimeoutError(f"no answer within {seconds:g} s")


def _connect(
    target: Target,
    address: str,
    timeout: float,
    register: Callable[[socket.socket], None],
    context: ssl.SSLContext | None,
) -> http.client.HTTPConnection:
    raw = socket.create_connection((address, target.port), timeout)
    register(raw)
    connection = http.client.HTTPConnection(target.host, target.port, timeout=timeout)
    if target.scheme == "https":
        try:
            tls = (context or ssl.create_default_context()).wrap_socket(raw, server_hostname=target.host)
        except BaseException:
            raw.close()
            raise
        # wrap_socket detaches the raw socket; the deadline must shut the one that is in use.
        register(tls)
        connection.sock = tls
    else:
        connection.sock = raw
    return connection
