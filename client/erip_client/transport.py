"""Carrying calls out over httpx, one way for programs that wait and one for programs that do not."""

import asyncio
import ssl
import time
import uuid
from typing import Any, Final, TypeVar

import httpx

from .answers import read
from .calls.base import MOST, Call
from .errors import EripError, NotUnderstood, Unreachable
from .repeating import Attempts, OnRetry
from .settings import Settings, settings

T = TypeVar("T")

#: seconds until a connection is made, at most
CONNECT: Final = 5.0


class _Common:
    """What both clients share."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout: float = 30.0,
        patience: float = 30.0,
        on_retry: OnRetry | None = None,
    ) -> None:
        """url, key: if None, ERIP_URL and ERIP_API_KEY of the environment (http://127.0.0.1:8000 and no key).

        timeout: seconds for one whole answer. patience: seconds during which a request that failed for a moment is
        repeated; 0: never. on_retry: called before each pause. Raises ValueError.
        """
        self.settings: Settings = settings(url, key, timeout=timeout, patience=patience)
        self._on_retry = on_retry

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.settings.url}>"

    def _attempts(self, call: Call[Any]) -> Attempts:
        return Attempts(call, self.settings.patience, self._on_retry)

    def _request(self, call: Call[Any]) -> dict[str, Any]:
        """What httpx is given. An Idempotency-Key is made here, once for all attempts."""
        headers = dict(call.headers)
        if call.content is not None:
            headers["Content-Type"] = call.media
        if call.keyed:
            headers["Idempotency-Key"] = call.key if call.key is not None else uuid.uuid4().hex
        return {
            "method": call.method,
            "url": self.settings.url + call.address,
            "params": {name: _text(value) for name, value in call.query.items()} or None,
            "content": call.content,
            "headers": headers,
            "timeout": httpx.Timeout(self.settings.timeout + call.wait, connect=CONNECT),
        }

    def _deadline(self, call: Call[Any]) -> float:
        return time.monotonic() + self.settings.timeout + call.wait


class SyncTransport(_Common):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        transport = named.pop("transport", None)
        super().__init__(*arguments, **named)
        self._http = httpx.Client(**_settings_of_httpx(self.settings), transport=transport)

    def close(self) -> None:
        self._http.close()

    def call(self, call: Call[T]) -> T:
        """Carry a call out, repeated where that helps and does no harm. Raises EripError."""
        request, attempts = self._request(call), self._attempts(call)
        while True:
            try:
                return self._once(call, request)
            except EripError as error:
                if attempts.is_done_already(error):
                    return None  # type: ignore[return-value]
                pause = attempts.pause_after(error)
            time.sleep(pause)

    def _once(self, call: Call[T], request: dict[str, Any]) -> T:
        body, deadline = bytearray(), self._deadline(call)
        try:
            with self._http.stream(**request) as answer:
                refuse_coding(answer)
                for chunk in answer.iter_raw():
                    _add(body, chunk, deadline)
                return read(call, answer.status_code, answer.headers, bytes(body))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise no_answer(self.settings.url, error) from None


class AsyncTransport(_Common):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        transport = named.pop("transport", None)
        super().__init__(*arguments, **named)
        self._http = httpx.AsyncClient(**_settings_of_httpx(self.settings), transport=transport)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def call(self, call: Call[T]) -> T:
        """Carry a call out, repeated where that helps and does no harm. Raises EripError."""
        request, attempts = self._request(call), self._attempts(call)
        while True:
            try:
                return await self._once(call, request)
            except EripError as error:
                if attempts.is_done_already(error):
                    return None  # type: ignore[return-value]
                pause = attempts.pause_after(error)
            await asyncio.sleep(pause)

    async def _once(self, call: Call[T], request: dict[str, Any]) -> T:
        body, deadline = bytearray(), self._deadline(call)
        try:
            async with self._http.stream(**request) as answer:
                refuse_coding(answer)
                async for chunk in answer.aiter_raw():
                    _add(body, chunk, deadline)
                return read(call, answer.status_code, answer.headers, bytes(body))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise no_answer(self.settings.url, error) from None


def _settings_of_httpx(own: Settings) -> dict[str, Any]:
    """No redirect is followed: the key would go elsewhere. Certificates are loaded (20 ms) where they are looked at."""
    return {"headers": own.headers(), "follow_redirects": False, "verify": own.url.startswith("https:")}


def refuse_coding(answer: httpx.Response) -> None:
    """A compressed answer was not asked for, and might grow without end. Raises NotUnderstood."""
    coding = answer.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", ""):
        raise NotUnderstood(f"The answer is compressed ({coding[:40]!r}), which was not asked for.")


def no_answer(url: str, error: Exception) -> EripError:
    """What httpx raised, as a sentence. A server whose certificate or name is wrong will not get better by itself."""
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return NotUnderstood(f"The certificate of {url} cannot be trusted: {_last_words(causes)}")
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return NotUnderstood(f"{url} is no address that can be called: {error}")
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return Unreachable(f"Cannot reach {url}: no connection within {CONNECT:.0f} seconds.")
    if isinstance(error, httpx.ConnectError):
        return Unreachable(f"Cannot reach {url}: {_last_words(causes)}.")
    if isinstance(error, httpx.TimeoutException):
        return Unreachable(f"{url} does not answer in time.", may_have_happened=True)
    return Unreachable(f"The connection to {url} broke: {_last_words(causes)}.", may_have_happened=True)


def _causes(error: BaseException | None) -> Any:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _last_words(causes: list[BaseException]) -> str:
    """The operating system's words where there are any: they are the plainest."""
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower() if cause.strerror.isascii() else cause.strerror
    return str(causes[0]).rstrip(".") or type(causes[0]).__name__


def _add(body: bytearray, chunk: bytes, deadline: float) -> None:
    body += chunk
    if len(body) > MOST:
        raise NotUnderstood(f"The answer has more than {MOST // 2**20} MiB.")
    if time.monotonic() > deadline:
        raise httpx.ReadTimeout("the answer does not end")


def _text(value: Any) -> str | list[str]:
    """A value in a query string."""
    if isinstance(value, list | tuple):
        return [str(one) for one in value]
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
