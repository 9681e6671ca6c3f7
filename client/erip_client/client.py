"""The clients: every operation, and what takes several requests (pages, streams, waiting for the end of a run)."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

import httpx

from .answers import error_of
from .calls import events
from .calls.base import Call
from .errors import EripError, NotUnderstood, Unreachable, WaitedTooLong
from .models import Page, Run
from .models.base import Json
from .operations import AsyncOperations, SyncOperations
from .streaming import SILENCE, Reader, StreamedEvent, event_of, opened
from .transport import CONNECT, no_answer, refuse_coding

T = TypeVar("T")

#: seconds between two looks at a run: the first, and at most
SHORTEST: Final = 0.1
LONGEST: Final = 1.5
#: seconds for which a start may wait for the end, as the API allows
MOST_WAIT: Final = 60
#: bytes of a refusal that are read where a stream was asked for
_REFUSAL: Final = 1024 * 1024
_STREAM = httpx.Timeout(SILENCE, connect=CONNECT)


@dataclass(slots=True)
class _Looking:
    """When to look at a run again: soon after a change, later and later while nothing changes."""

    run_id: str
    timeout: float | None
    began: float = field(default_factory=time.monotonic)
    pause: float = SHORTEST
    last: Run | None = None

    def is_new(self, run: Run) -> bool:
        changed, self.last = run != self.last, run
        self.pause = SHORTEST if changed else min(LONGEST, self.pause * 1.5)
        return changed

    def rest(self) -> float:
        """Seconds until the next look. Raises WaitedTooLong."""
        if self.timeout is None:
            return self.pause
        left = self.began + self.timeout - time.monotonic()
        if left <= 0:
            status = self.last.status if self.last else "unknown"
            raise WaitedTooLong(f"The run {self.run_id} is {status} after {self.timeout:g} seconds.")
        return min(self.pause, left)


class Client(SyncOperations):
    """ERIP for programs that wait for each answer. Safe to share between threads.

    with Client("https://erip.example", key) as erip:
        run = erip.run_to_end("triage", {"cves": ["CVE-2021-44228"]})

    All methods raise EripError (`errors`), and ValueError for what cannot be sent.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pages(self, method: Callable[..., Page[T]], *arguments: Any, **named: Any) -> Iterator[T]:
        """All items of a list, page after page: `client.pages(client.list_runs, status="FAILED")`."""
        cursor: Any = None
        while True:
            page = method(*arguments, **named, cursor=cursor)
            yield from page.items
            cursor = _next(cursor, page)
            if cursor is None:
                return

    def watch_run(self, run_id: str, *, timeout: float | None = None) -> Iterator[Run]:
        """The run now, and after each change that was seen, until it has ended. Raises WaitedTooLong."""
        looking = _Looking(run_id, timeout)
        while True:
            run = self.get_run(run_id)
            if looking.is_new(run):
                yield run
            if run.ended:
                return
            time.sleep(looking.rest())

    def wait_for_run(self, run_id: str, *, timeout: float | None = None) -> Run:
        """The run when it has ended, well or not. timeout: seconds; None: for ever. Raises WaitedTooLong."""
        return list(self.watch_run(run_id, timeout=timeout))[-1]

    def run_to_end(
        self, workflow: str, input: Mapping[str, Json] | None = None, *, timeout: float | None = None, **named: Any
    ) -> Run:
        """Start a run and wait until it has ended, well or not. named: as of `start_run`. Raises WaitedTooLong."""
        began = time.monotonic()
        run = self.start_run(workflow, input, wait=_first_wait(timeout), **named)
        return run if isinstance(run, Run) else self.wait_for_run(run.id, timeout=_left(timeout, began))

    def stream_events(
        self,
        *,
        type: str | Sequence[str] | None = None,
        source: str | None = None,
        subject: str | None = None,
        last_event_id: str | None = None,
    ) -> Iterator[StreamedEvent]:
        """Events as they are logged, without end; a connection that breaks is opened again where it broke.

        type, source, subject: each may end with `*`. Raises EripError when it cannot be opened again.
        """
        call = events.stream_events(type=type, source=source, subject=subject, last_event_id=last_event_id)
        reader, attempts = Reader(last_event_id), self._attempts(call)
        while True:
            try:
                for event in self._listen(call, reader):
                    attempts = self._attempts(call)
                    yield event
                error: EripError = _broke_off(self.settings.url)
            except EripError as raised:
                error = raised
            time.sleep(attempts.pause_after(error))

    def _listen(self, call: Call[None], reader: Reader) -> Iterator[StreamedEvent]:
        reader.begin()
        request = self._request(_after(call, reader)) | {"timeout": _STREAM}
        try:
            with self._http.stream(**request) as answer:
                refuse_coding(answer)
                if answer.status_code != 200:
                    refusal = bytearray()
                    for chunk in answer.iter_raw():
                        refusal += chunk
                        if len(refusal) > _REFUSAL:
                            break
                    raise error_of(answer.status_code, answer.headers, bytes(refusal))
                opened(answer)
                for chunk in answer.iter_raw():
                    for message in reader.feed(chunk):
                        if (event := event_of(message)) is None:
                            return
                        yield event
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise no_answer(self.settings.url, error) from None


class AsyncClient(AsyncOperations):
    """ERIP for programs that do other things meanwhile (asyncio). Each method is awaited; else as Client."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def pages(self, method: Callable[..., Awaitable[Page[T]]], *arguments: Any, **named: Any) -> AsyncIterator[T]:
        """All items of a list, page after page."""
        cursor: Any = None
        while True:
            page = await method(*arguments, **named, cursor=cursor)
            for item in page.items:
                yield item
            cursor = _next(cursor, page)
            if cursor is None:
                return

    async def watch_run(self, run_id: str, *, timeout: float | None = None) -> AsyncIterator[Run]:
        """The run now, and after each change that was seen, until it has ended. Raises WaitedTooLong."""
        looking = _Looking(run_id, timeout)
        while True:
            run = await self.get_run(run_id)
            if looking.is_new(run):
                yield run
            if run.ended:
                return
            await asyncio.sleep(looking.rest())

    async def wait_for_run(self, run_id: str, *, timeout: float | None = None) -> Run:
        """The run when it has ended, well or not. Raises WaitedTooLong."""
        return [run async for run in self.watch_run(run_id, timeout=timeout)][-1]

    async def run_to_end(
        self, workflow: str, input: Mapping[str, Json] | None = None, *, timeout: float | None = None, **named: Any
    ) -> Run:
        """Start a run and wait until it has ended, well or not. Raises WaitedTooLong."""
        began = time.monotonic()
        run = await self.start_run(workflow, input, wait=_first_wait(timeout), **named)
        return run if isinstance(run, Run) else await self.wait_for_run(run.id, timeout=_left(timeout, began))

    async def stream_events(
        self,
        *,
        type: str | Sequence[str] | None = None,
        source: str | None = None,
        subject: str | None = None,
        last_event_id: str | None = None,
    ) -> AsyncIterator[StreamedEvent]:
        """Events as they are logged, without end; a connection that breaks is opened again where it broke."""
        call = events.stream_events(type=type, source=source, subject=subject, last_event_id=last_event_id)
        reader, attempts = Reader(last_event_id), self._attempts(call)
        while True:
            try:
                async for event in self._listen(call, reader):
                    attempts = self._attempts(call)
                    yield event
                error: EripError = _broke_off(self.settings.url)
            except EripError as raised:
                error = raised
            await asyncio.sleep(attempts.pause_after(error))

    async def _listen(self, call: Call[None], reader: Reader) -> AsyncIterator[StreamedEvent]:
        reader.begin()
        request = self._request(_after(call, reader)) | {"timeout": _STREAM}
        try:
            async with self._http.stream(**request) as answer:
                refuse_coding(answer)
                if answer.status_code != 200:
                    refusal = bytearray()
                    async for chunk in answer.aiter_raw():
                        refusal += chunk
                        if len(refusal) > _REFUSAL:
                            break
                    raise error_of(answer.status_code, answer.headers, bytes(refusal))
                opened(answer)
                async for chunk in answer.aiter_raw():
                    for message in reader.feed(chunk):
                        if (event := event_of(message)) is None:
                            return
                        yield event
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise no_answer(self.settings.url, error) from None


def _next(cursor: Any, page: Page[Any]) -> Any:
    """The next page's cursor; None: there is none. A server that gives the same one again would be read for ever."""
    if page.next_cursor is not None and page.next_cursor == cursor:
        raise NotUnderstood("The server's list does not end: a page names itself as the next.")
    return page.next_cursor


def _first_wait(timeout: float | None) -> int:
    return MOST_WAIT if timeout is None else max(0, min(MOST_WAIT, int(timeout)))


def _left(timeout: float | None, began: float) -> float | None:
    return None if timeout is None else max(0.0, began + timeout - time.monotonic())


def _after(call: Call[None], reader: Reader) -> Call[None]:
    """The call that goes on where the reader is."""
    query = call.query
    return events.stream_events(
        type=query.get("type"), source=query.get("source"), subject=query.get("subject"), last_event_id=reader.last_id
    )


def _broke_off(url: str) -> EripError:
    return Unreachable(f"The stream of {url} broke off.")
